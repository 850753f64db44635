// src/net/socket_calls.hpp: reading and writing a connected socket, for every kind of stream.
//
// `whom` names the other end when something fails.
#pragma once

#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "net/failures.hpp"
#include "plait/coroutines/io_operation.hpp"
#include "plait/coroutines/readiness.hpp"
#include "plait/coroutines/task.hpp"

namespace plait::net {

template <class Whom>
std::optional<std::size_t> try_receive(plait::detail::readiness& s, std::span<char> into,
                                       const Whom& whom) {
  for (;;) {
    const ssize_t got = recv(s.fd(), into.data(), into.size(), 0);
    if (got >= 0) {
      if (static_cast<std::size_t>(got) < into.size()) s.drained();
      return static_cast<std::size_t>(got);
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      s.not_readable();
      return std::nullopt;
    }
    if (errno != EINTR) throw_closed(errno, "reading", whom());
  }
}

template <class Whom>
std::size_t try_send(plait::detail::readiness& s, std::string_view bytes, const Whom& whom) {
  for (;;) {
    const ssize_t sent = send(s.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) return static_cast<std::size_t>(sent);
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      s.not_writable();
      return 0;
    }
    if (errno != EINTR) throw_closed(errno, "writing", whom());
  }
}

// The same, waited for. socket() is the stream's readiness, or throws when it has none any more.
template <class Socket, class Whom>
task<std::size_t> receive_some(Socket socket, std::span<char> into, Whom whom) {
  if (auto& s = socket(); s.completes()) {
    const int got = co_await plait::detail::io_operation::receive(s, into.data(), into.size());
    if (got < 0) throw_closed(-got, "reading", whom());
    co_return static_cast<std::size_t>(got);
  }
  for (;;) {
    co_await socket().readable();
    if (const auto got = try_receive(socket(), into, whom)) co_return *got;
  }
}

template <class Socket, class Whom>
task<std::size_t> send_some(Socket socket, std::string_view bytes, Whom whom) {
  if (bytes.empty()) co_return 0;
  if (auto& s = socket(); s.completes()) {
    const int sent = co_await plait::detail::io_operation::send(s, bytes.data(), bytes.size());
    if (sent < 0) throw_closed(-sent, "writing", whom());
    co_return static_cast<std::size_t>(sent);
  }
  for (;;) {
    if (const std::size_t sent = try_send(socket(), bytes, whom)) co_return sent;
    co_await socket().writable();
  }
}

// How the attempt to connect ended.
inline int pending_error(int fd) noexcept {
  int code = 0;
  socklen_t size = sizeof code;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size) == 0 ? code : errno;
}

}  // namespace plait::net

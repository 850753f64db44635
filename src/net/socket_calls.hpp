// src/net/socket_calls.hpp: reading and writing a connected socket, for every kind of stream.
//
// Stream is the stream's class; its socket() is the readiness, and `whom` names the other end when
// something fails.
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

// How the attempt to connect ended.
inline int pending_error(int fd) noexcept {
  int code = 0;
  socklen_t size = sizeof code;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size) == 0 ? code : errno;
}

}  // namespace plait::net

#include "plait/net/unix_stream.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "net/failures.hpp"
#include "net/socket_calls.hpp"
#include "net/unix_address.hpp"
#include "plait/coroutines/timer.hpp"

namespace plait::net {

unix_stream unix_stream::adopt(int fd, std::string peer) {
  return unix_stream(std::make_unique<socket_type>(fd, std::move(peer)));
}

std::pair<unix_stream, unix_stream> unix_stream::pair() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == -1) {
    if (out_of_descriptors(errno)) throw_out_of_descriptors(errno);
    throw_connect_error(errno, "a socket pair");
  }
  try {
    auto first = adopt(std::exchange(ends[0], -1), "the other end of the pair");
    auto second = adopt(std::exchange(ends[1], -1), "the other end of the pair");
    return {std::move(first), std::move(second)};
  } catch (...) {
    for (const int fd : ends)
      if (fd != -1) ::close(fd);
    throw;
  }
}

// A Unix socket connects at once or not at all, and a full backlog cannot be waited for.
task<unix_stream> unix_stream::connect(std::string address) {
  constexpr duration longest_pause = std::chrono::milliseconds(50);
  const auto to = unix_address::parse(address);
  if (!to) throw_connect_error(address.empty() ? EINVAL : ENAMETOOLONG, address);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd == -1) {
    if (out_of_descriptors(errno)) throw_out_of_descriptors(errno);
    throw_connect_error(errno, address);
  }
  struct closer {
    int fd;
    ~closer() {
      if (fd != -1) ::close(fd);
    }
  } owner{fd};
  duration pause = std::chrono::milliseconds(1);
  while (::connect(fd, to->data(), to->size) == -1) {
    if (errno == EINTR) continue;
    if (errno != EAGAIN) throw_connect_error(errno, address);
    co_await sleep(pause);
    pause = std::min(2 * pause, longest_pause);
  }
  co_return adopt(std::exchange(owner.fd, -1), std::move(address));
}

plait::detail::readiness& unix_stream::socket() const {
  if (socket_ == nullptr) throw_closed(EBADF, "using it", "this end");
  return *socket_->ready;
}

std::optional<std::size_t> unix_stream::try_read(std::span<char> into) {
  return try_receive(socket(), into, [this] { return socket_->peer; });
}

std::size_t unix_stream::try_write(std::string_view bytes) {
  return try_send(socket(), bytes, [this] { return socket_->peer; });
}

task<std::size_t> unix_stream::read_some(std::span<char> into) {
  return receive_some(
      [this]() -> auto& { return socket(); }, into, [this] { return socket_->peer; });
}

task<std::size_t> unix_stream::write_some(std::string_view bytes) {
  return send_some(
      [this]() -> auto& { return socket(); }, bytes, [this] { return socket_->peer; });
}

task<> unix_stream::write_all(std::string_view bytes) {
  while (!bytes.empty()) bytes.remove_prefix(co_await write_some(bytes));
}

task<> unix_stream::shutdown_write() {
  if (shutdown(socket().fd(), SHUT_WR) == -1) throw_closed(errno, "ending it", socket_->peer);
  co_return;
}

credentials unix_stream::peer_credentials() const {
  ucred who{};
  socklen_t size = sizeof who;
  if (getsockopt(socket().fd(), SOL_SOCKET, SO_PEERCRED, &who, &size) == -1)
    throw_closed(errno, "asking who it is", socket_->peer);
  return {.process = who.pid, .user = who.uid, .group = who.gid};
}

}  // namespace plait::net

#include "plait/net/tcp_listener.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "net/failures.hpp"
#include "plait/coroutines/timer.hpp"

namespace plait::net {

tcp_listener::listening::~listening() {
  ready.reset();
  ::close(fd);
}

tcp_listener tcp_listener::bind(std::string_view address, std::uint16_t port,
                                listen_options options) {
  const auto wanted = endpoint::parse(address, port);
  if (!wanted)
    throw listen_error("cannot listen on " + std::string(address) +
                           ": not a numeric address such as 127.0.0.1, 0.0.0.0 or ::1",
                       std::make_error_code(std::errc::invalid_argument));
  const auto* name = static_cast<const sockaddr*>(wanted->data());
  const int fd = socket(name->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd == -1) {
    if (out_of_descriptors(errno)) throw_out_of_descriptors(errno);
    throw_listen_error(errno, wanted->to_string());
  }
  tcp_listener listener(fd);
  const int one = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (options.reuse_port) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
  // Accepted connections inherit it.
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (::bind(fd, name, wanted->size()) == -1 || listen(fd, options.backlog) == -1)
    throw_listen_error(errno, wanted->to_string());
  socklen_t size = endpoint::capacity;
  getsockname(fd, static_cast<sockaddr*>(listener.local_.data()), &size);
  listener.local_.resize(size);
  return listener;
}

// Nothing: none is waiting. Throws descriptors_exhausted.
std::optional<tcp_stream> tcp_listener::try_accept() {
  for (;;) {
    endpoint peer;
    socklen_t size = endpoint::capacity;
    const int fd = accept4(socket_->fd, static_cast<sockaddr*>(peer.data()), &size,
                           SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      peer.resize(size);
      return tcp_stream::adopt(fd, peer);
    }
    switch (errno) {
      case EAGAIN:
        return std::nullopt;
      case EBADF:
      case EINVAL:
      case ENOTSOCK:
        throw_listen_error(errno, local_.to_string());
      case EMFILE:
      case ENFILE:
      case ENOBUFS:
      case ENOMEM:
        throw_out_of_descriptors(errno);
      default:
        break;  // that connection is gone already, or a signal: the next one
    }
  }
}

task<tcp_stream> tcp_listener::accept() {
  constexpr duration first_pause = std::chrono::milliseconds(10);
  constexpr duration longest_pause = std::chrono::seconds(1);
  if (!socket_->ready) socket_->ready.emplace(socket_->fd);
  duration pause = first_pause;
  for (;;) {
    bool scarce = false;
    try {
      if (auto stream = try_accept()) co_return std::move(*stream);
    } catch (const descriptors_exhausted&) {
      scarce = true;
    } catch (const std::system_error&) {  // the loop cannot watch another descriptor
      scarce = true;
    }
    if (scarce) {
      co_await sleep(pause);
      pause = std::min(2 * pause, longest_pause);
    } else {
      socket_->ready->not_readable();
      co_await socket_->ready->readable();
      pause = first_pause;
    }
  }
}

}  // namespace plait::net

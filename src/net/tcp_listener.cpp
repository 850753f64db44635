#include "plait/net/tcp_listener.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "net/accept_loop.hpp"
#include "net/failures.hpp"
#include "net/socket_options.hpp"
#include "plait/net/serve.hpp"

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
  if (options.reuse_address) set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (options.reuse_port) set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  if (wanted->is_v6()) set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, options.ipv6_only ? 1 : 0);
  apply(fd, options.connections);  // accepted connections inherit them
  if (::bind(fd, name, wanted->size()) == -1 || listen(fd, options.backlog) == -1)
    throw_listen_error(errno, wanted->to_string());
  socklen_t size = endpoint::capacity;
  getsockname(fd, static_cast<sockaddr*>(listener.local_.data()), &size);
  listener.local_.resize(size);
  return listener;
}

std::optional<tcp_stream> tcp_listener::try_accept() {
  endpoint peer;
  socklen_t size = endpoint::capacity;
  const auto fd = try_accept_from(socket_->fd, static_cast<sockaddr*>(peer.data()), &size,
                                  [&](int code) { throw_listen_error(code, local_.to_string()); });
  if (!fd) return std::nullopt;
  peer.resize(size);
  return tcp_stream::adopt(*fd, peer);
}

task<tcp_stream> tcp_listener::accept() {
  return accept_from<tcp_stream>(
      [this]() -> plait::detail::readiness& {
        if (socket_ == nullptr) throw_listen_error(EBADF, local_.to_string());
        if (!socket_->ready) socket_->ready.emplace(socket_->fd);
        return *socket_->ready;
      },
      [this] { return try_accept(); },
      // Some at once, so that not every one of many costs a pause.
      [this] { return server_ != nullptr && server_->want_room(16) != 0; });
}

}  // namespace plait::net

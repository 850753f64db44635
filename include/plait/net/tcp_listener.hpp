// plait/net/tcp_listener.hpp: a port that takes TCP connections.
//
//   auto listener = plait::net::tcp_listener::bind("127.0.0.1", 0);
//   for (;;) plait::spawn(serve(co_await listener.accept()));
//
// Threads:  bind() may be called without a loop; the listener then belongs to the loop of its first
//           accept(), and must be gone before that loop.
// Stops:    accept leaves the listener open.
// Throws:   bind: listen_error (the address is taken, not ours, or the port is privileged).
// Scarcity: when the process has no descriptors left, accept waits, longer each time up to a
//           second, and tries again: connections queue in the kernel meanwhile.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "plait/coroutines/readiness.hpp"
#include "plait/net/tcp_stream.hpp"

namespace plait::net {

namespace detail {
class serving;
}  // namespace detail

struct listen_options {
  // How many connections may wait for accept(); the kernel caps it at net.core.somaxconn.
  int backlog = 4096;
  // Lets other listeners that say so too have the same port (SO_REUSEPORT): the kernel deals out
  // connections among them, so that each loop of a group can have a listener of its own.
  bool reuse_port = false;
  // Takes the port although connections of the one who had it before still fade away there.
  bool reuse_address = true;
  // An IPv6 listener on :: takes IPv4 connections too, with addresses such as ::ffff:127.0.0.1.
  bool ipv6_only = false;
  // Of each connection that is accepted.
  tcp_options connections = {};
};

class tcp_listener {
 public:
  // `address` is numeric; port 0 lets the kernel choose one.
  static tcp_listener bind(std::string_view address, std::uint16_t port,
                           listen_options options = {});
  tcp_listener(tcp_listener&&) noexcept = default;
  tcp_listener& operator=(tcp_listener&&) noexcept = default;

  task<tcp_stream> accept();
  std::uint16_t port() const noexcept { return local_.port(); }
  const endpoint& local_endpoint() const noexcept { return local_; }
  void close() noexcept { socket_.reset(); }
  // For servers: whom to ask for room when there are no descriptors left.
  void serve_for(detail::serving* server) noexcept { server_ = server; }

 private:
  struct listening {
    explicit listening(int descriptor) noexcept : fd(descriptor) {}
    ~listening();
    int fd;
    std::optional<plait::detail::readiness> ready;  // from the first accept() on
  };
  explicit tcp_listener(int fd) : socket_(new listening(fd)) {}
  std::optional<tcp_stream> try_accept();
  std::unique_ptr<listening> socket_;
  detail::serving* server_ = nullptr;
  endpoint local_;
};

}  // namespace plait::net

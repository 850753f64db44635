// plait/net/tcp_stream.hpp: a TCP connection on the loop that runs on this thread.
//
//   auto stream = co_await plait::net::tcp_stream::connect("localhost", 7);
//   co_await stream.write_all("hello");
//   std::size_t n = co_await stream.read_some(buffer);
//
// Threads:  belongs to the loop on which it was made, and must be gone before that loop.
// Stops:    a stopped read or write leaves the stream open (see byte_stream.hpp); a stopped connect
//           closes it.
// Throws:   connect: dns_error, connect_error, descriptors_exhausted. The rest: connection_closed.
// Cost:     128 bytes and one descriptor. A system call is tried before anything waits. To hold no
//           buffer while waiting, use try_read() and readable() instead of read_some().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "plait/coroutines/readiness.hpp"
#include "plait/coroutines/task.hpp"
#include "plait/net/endpoint.hpp"
#include "plait/net/errors.hpp"
#include "plait/net/open_socket.hpp"
#include "plait/net/tcp_options.hpp"

namespace plait::net {

struct connect_options {
  // How long to wait for one address of a host before the next one is tried beside it (RFC 8305).
  duration attempt_delay = std::chrono::milliseconds(250);
  tcp_options socket = {};
};

class tcp_stream {
 public:
  // Resolves the host and tries its addresses, IPv6 and IPv4 by turns, each a little after the one
  // before; the first that answers wins ("happy eyeballs").
  static task<tcp_stream> connect(std::string host, std::uint16_t port,
                                  connect_options options = {});
  static task<tcp_stream> connect(endpoint to, connect_options options = {});
  // Takes over a connected, non-blocking descriptor.
  static tcp_stream adopt(int fd, const endpoint& peer);

  tcp_stream() = default;  // closed
  tcp_stream(tcp_stream&&) noexcept = default;
  tcp_stream& operator=(tcp_stream&&) noexcept = default;

  // At least one byte, or 0 when the other end will send no more. `into` must not be empty.
  task<std::size_t> read_some(std::span<char> into);
  // At least one of `bytes`, and how many; there must be some.
  task<std::size_t> write_some(std::string_view bytes);
  // All of `bytes`, which must stay where they are meanwhile.
  task<> write_all(std::string_view bytes);

  // What they are made of. try_read: how many bytes were there, 0 at the end,
  // nothing if none have come yet. try_write: how many the kernel took.
  std::optional<std::size_t> try_read(std::span<char> into);
  std::size_t try_write(std::string_view bytes);
  auto readable() { return socket().readable(); }
  auto writable() { return socket().writable(); }
  // False once the loop has seen that something arrived which nobody has read: for a connection on
  // which nothing is expected, the end.
  bool silent() const noexcept { return socket_ != nullptr && !socket_->ready->maybe_readable(); }

  // Tells the other end that no more will come; reading goes on.
  task<> shutdown_write();
  // Neither waits. close: what was written is still delivered, if the other end takes it. reset: it
  // is thrown away, the other end gets an error, and no port stays behind in TIME_WAIT.
  void close() noexcept { socket_.reset(); }
  void reset() noexcept;
  bool is_open() const noexcept { return socket_ != nullptr; }
  endpoint local_endpoint() const;
  const endpoint& peer() const;

 private:
  using socket_type = detail::connected_socket<endpoint>;
  explicit tcp_stream(std::unique_ptr<socket_type> s) noexcept : socket_(std::move(s)) {}
  plait::detail::readiness& socket() const;
  std::unique_ptr<socket_type> socket_;
};

}  // namespace plait::net

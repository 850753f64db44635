// plait/net/udp_socket.hpp: datagrams.
//
//   auto socket = plait::net::udp_socket::bind("0.0.0.0", 5353);
//   const auto packet = co_await socket.receive_from(buffer);
//   co_await socket.send_to(std::string_view(buffer.data(), packet.size), packet.peer);
//
// Threads:  made without a loop; belongs to the loop of its first wait, and must be gone before that
//           loop. One task at a time may receive, and one send.
// Stops:    a stopped operation leaves the socket open; a datagram is taken or sent whole or not.
// Throws:   bind: listen_error, descriptors_exhausted. connect: dns_error, connect_error. send:
//           send_error. A connected socket throws connect_error when its peer's machine has answered
//           that nobody is there; whatever else happens to a datagram on its way, nobody tells.
// Cost:     two system calls a datagram at most, or one for up to 64 with receive_many, send_many.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "plait/coroutines/task.hpp"
#include "plait/net/endpoint.hpp"
#include "plait/net/errors.hpp"

namespace plait::net {

// The datagram is too large, or may not be sent there; code().
class send_error : public coded_error {
 public:
  using coded_error::coded_error;
};

// A datagram that has arrived.
struct received {
  std::size_t size = 0;  // the bytes in the buffer
  endpoint peer;         // who sent it
  // The datagram was longer than its buffer, and the rest is lost.
  bool truncated = false;
};

// Room for a datagram, and what has arrived in it.
struct receive_slot {
  std::span<char> buffer;
  received datagram{};
};

struct outgoing_datagram {
  std::string_view bytes;
  endpoint to;  // empty: to the peer of a connected socket
};

struct udp_options {
  // What the kernel keeps until it is received or sent; 0: the system's default. The kernel caps
  // them at net.core.rmem_max and wmem_max.
  std::size_t receive_buffer_bytes = 0;
  std::size_t send_buffer_bytes = 0;
  // shared: others may bind the same port; each gets what is sent to a group, one of them the rest.
  enum class port_use : std::uint8_t { alone, shared } port = port_use::alone;
};

namespace detail {
struct datagram_socket;
struct datagram_socket_closer {
  void operator()(datagram_socket* socket) const noexcept;
};
}  // namespace detail

class udp_socket {
 public:
  // `address` is numeric; port 0 lets the kernel choose one.
  static udp_socket bind(std::string_view address, std::uint16_t port, udp_options options = {});
  // Resolves the host. Sends to its first address and receives from there only.
  static task<udp_socket> connect(std::string host, std::uint16_t port, udp_options options = {});
  static udp_socket connect(const endpoint& peer, udp_options options = {});

  udp_socket() = default;  // closed

  // One datagram. `into` must stay where it is meanwhile. One of 65,507 bytes fits any datagram.
  task<received> receive_from(std::span<char> into);
  // From a connected socket: its size, which is 0 for an empty datagram.
  task<std::size_t> receive(std::span<char> into);
  // Waits while the kernel's buffer is full; then the datagram is on its way, no more.
  task<> send_to(std::string_view bytes, endpoint to);
  // Over a connected socket.
  task<> send(std::string_view bytes) { return send_to(bytes, {}); }

  // As many as have arrived, at least one, at most as many as there are slots.
  task<std::size_t> receive_many(std::span<receive_slot> slots);
  // All of them, in order.
  task<> send_many(std::span<const outgoing_datagram> datagrams);

  // What they are made of: nothing, or false, if the kernel has none or no room.
  std::optional<received> try_receive_from(std::span<char> into);
  bool try_send_to(std::string_view bytes, const endpoint& to);

  // Receives what is sent to a group, such as 224.0.0.251 or ff02::fb, through the interface of that
  // name, or the one that the system chooses. Throws listen_error.
  void join(std::string_view group, const std::string& interface_name = {});
  void leave(std::string_view group, const std::string& interface_name = {});
  // Where what is sent to groups goes out; it comes back to this machine's own members too.
  void send_groups_through(const std::string& interface_name);

  endpoint local_endpoint() const;
  std::uint16_t port() const { return local_endpoint().port(); }
  // Of a connected socket; empty otherwise.
  endpoint peer() const;
  void close() noexcept { socket_.reset(); }
  bool is_open() const noexcept { return socket_ != nullptr; }

 private:
  explicit udp_socket(detail::datagram_socket* socket) noexcept : socket_(socket) {}
  detail::datagram_socket& opened() const;
  detail::datagram_socket& on_loop() const;
  std::optional<std::size_t> try_receive_many(std::span<receive_slot> slots);
  std::size_t try_send_many(std::span<const outgoing_datagram> datagrams);
  void change_membership(int option_v4, int option_v6, std::string_view group,
                         const std::string& interface_name);
  std::unique_ptr<detail::datagram_socket, detail::datagram_socket_closer> socket_;
};

}  // namespace plait::net

// plait/net/unix_stream.hpp: a connection to another process of this machine, by a file's name.
//
//   auto stream = co_await plait::net::unix_stream::connect("/run/app.sock");
//   co_await stream.write_all("hello");
//
// An address is a path, or "@name" in the kernel's abstract namespace, which needs no file. Who can
// open the file can connect; the abstract namespace knows no permissions: ask peer_credentials().
//
// Threads:  belongs to the loop on which it was made, and must be gone before that loop.
// Stops:    as byte_stream says; a stopped connect closes the stream.
// Throws:   connect: connect_error, descriptors_exhausted. The rest: connection_closed.
// Cost:     one allocation and one descriptor. A system call is tried before anything waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "plait/coroutines/readiness.hpp"
#include "plait/coroutines/task.hpp"
#include "plait/net/errors.hpp"
#include "plait/net/open_socket.hpp"

namespace plait::net {

// Who is at the other end, as the kernel knows it.
struct credentials {
  std::int64_t process = 0;
  std::uint32_t user = 0, group = 0;
};

class unix_stream {
 public:
  static task<unix_stream> connect(std::string address);
  // Two streams that are connected to each other.
  static std::pair<unix_stream, unix_stream> pair();
  // Takes over a connected, non-blocking descriptor; `peer` is for messages.
  static unix_stream adopt(int fd, std::string peer);

  unix_stream() = default;  // closed
  unix_stream(unix_stream&&) noexcept = default;
  unix_stream& operator=(unix_stream&&) noexcept = default;

  // See byte_stream.hpp.
  task<std::size_t> read_some(std::span<char> into);
  task<std::size_t> write_some(std::string_view bytes);
  task<> write_all(std::string_view bytes);
  task<> shutdown_write();
  void close() noexcept { socket_.reset(); }
  bool is_open() const noexcept { return socket_ != nullptr; }

  // As tcp_stream's.
  std::optional<std::size_t> try_read(std::span<char> into);
  std::size_t try_write(std::string_view bytes);
  auto readable() { return socket().readable(); }
  auto writable() { return socket().writable(); }
  bool silent() const noexcept { return socket_ != nullptr && !socket_->ready->maybe_readable(); }

  // Of the process that connected or listened, at the time when it did.
  credentials peer_credentials() const;

 private:
  using socket_type = detail::connected_socket<std::string>;
  explicit unix_stream(std::unique_ptr<socket_type> s) noexcept : socket_(std::move(s)) {}
  plait::detail::readiness& socket() const;
  std::unique_ptr<socket_type> socket_;
};

}  // namespace plait::net

// plait/net/tls_stream.hpp: a stream that nobody in between can read or change (TLS 1.2 and 1.3).
//
//   const plait::net::tls_client_context context;
//   auto stream = co_await plait::net::tls_stream::connect("example.org", 443, context);
//
// A byte_stream over any other: a connection, a tunnel, a testing::memory_stream. A connection that
// ends without TLS's own end may have been cut by somebody: reading it throws truncated_stream. So
// say the end: co_await shutdown_write() before close().
//
// Threads:  belongs to its transport's loop. One flow may read while another writes.
// Stops:    as byte_stream says, at every step: what was encrypted before a stop is sent by the next
//           call. A stopped handshake closes the transport.
// Throws:   certificate_error, truncated_stream, tls_error, and what the transport throws.
// Cost:     OpenSSL's state, some 20 KB; over a stream that is no tcp_stream a buffer of 16 KiB more. Link plait::tls.
// Example:  examples/coroutines/tls_client.cpp
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "plait/coroutines/task.hpp"
#include "plait/net/byte_stream.hpp"
#include "plait/net/errors.hpp"
#include "plait/net/tls_context.hpp"

namespace plait::net {

namespace detail {
struct tls_session;
}

class tls_stream {
 public:
  // Connects by TCP and shakes hands.
  static task<tls_stream> connect(std::string host, std::uint16_t port,
                                  const tls_client_context& context);
  // Shakes hands with the server `host`, a name or an address, at the other end of `transport`.
  static task<tls_stream> client(any_stream transport, std::string host,
                                 const tls_client_context& context);
  // Shakes hands with the client at the other end.
  static task<tls_stream> server(any_stream transport, const tls_server_context& context);

  tls_stream() = default;  // closed
  tls_stream(tls_stream&&) noexcept = default;
  tls_stream& operator=(tls_stream&& other) noexcept {
    if (this != &other) {
      close();
      session_ = std::move(other.session_);
    }
    return *this;
  }
  ~tls_stream() { close(); }

  // See byte_stream.hpp. Once shutdown_write() is done the other end knows that it has everything.
  task<std::size_t> read_some(std::span<char> into);
  task<std::size_t> write_some(std::string_view bytes);
  task<> write_all(std::string_view bytes);
  task<> shutdown_write();
  void close() noexcept;
  bool is_open() const noexcept;

  // For code that holds no buffer while it waits, as tcp_stream's. What try_write() took is sent by
  // writable() or readable().
  std::optional<std::size_t> try_read(std::span<char> into);
  std::size_t try_write(std::string_view bytes);
  task<> readable();
  task<> writable();

  // Without waiting: false if the other end has sent something that nobody has read, or has ended. What
  // has come is taken in, so that TLS's own messages do not count. Not while a flow reads. As much as the
  // transport can tell: one without tcp_stream's silent() is always silent.
  bool silent() const noexcept;

  // The protocol that both ends chose; empty if none was offered.
  std::string alpn() const;
  // The host that the client asked for (SNI): of the server's end. Empty if it named none.
  std::string server_name() const;
  // "TLSv1.3".
  std::string version() const;
  // True if an earlier session with the same server was taken up: a shorter handshake.
  bool resumed() const;
  // The other end's certificate's subject, such as "CN = example.org"; empty if it showed none.
  std::string peer_subject() const;

 private:
  explicit tls_stream(std::shared_ptr<detail::tls_session> s) noexcept : session_(std::move(s)) {}
  static task<tls_stream> connect_with(std::string host, std::uint16_t port,
                                       tls_client_context context);
  static task<tls_stream> shake_hands(std::shared_ptr<detail::tls_session> session);
  const std::shared_ptr<detail::tls_session>& open() const;
  std::shared_ptr<detail::tls_session> session_;
};

}  // namespace plait::net

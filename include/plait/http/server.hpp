// plait/http/server.hpp: an HTTP/1.1 server on the event loop, over TLS if asked to.
//
//   plait::http::server server({.port = 8080}, [](plait::http::request r) -> plait::task<response>
//   {
//     co_return plait::http::response{.content = "hello " + r.path()};
//   });
//   std::cout << server.url() << '\n';
//   plait::run(server.serve());
//
// The constructor binds, so port() is known and connections queue before serve() runs.
//
// Threads:  serve() on one loop; the rest anywhere. Handlers run on that loop and must not block
//           it: co_await plait::to_thread(...) for what does.
// Stops:    a stop of serve() closes the listener and the connections without a request, lets the
//           others answer theirs for up to options.drain, then stops them; serve() throws
//           cancelled_error.
// Throws:   the constructor: net::listen_error, net::tls_error. What a handler throws: see router.hpp.
// Cost:     a waiting connection holds no buffer; one system call to read a request and one to answer
//           it.
// Example:  examples/http/web_server.cpp; docs/http-server.md
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "plait/core/clock.hpp"
#include "plait/coroutines/task.hpp"
#include "plait/http/errors.hpp"
#include "plait/http/request.hpp"
#include "plait/http/response.hpp"
#include "plait/http/router.hpp"
#include "plait/net/tls_context.hpp"

namespace plait::http {

// One request, answered: for access logs.
struct answered_request {
  const net::endpoint& peer;
  std::string_view method, target;  // empty for what was no request
  int status_code;
  std::uint64_t bytes_sent;  // header included
  plait::duration elapsed;   // from its header's arrival to its answer's last byte
};

struct server_options {
  std::string address = "127.0.0.1";  // numeric; 0.0.0.0 or :: for every interface
  std::uint16_t port = 0;             // 0: a free one
  int backlog = 4096;
  // Several servers, each on a loop of its own, share the port (see net::listen_options).
  bool reuse_port = false;
  // Connections at once. When one more comes, the one that has been idle longest since its last answer is
  // closed for it; if none is idle, the next answer says Connection: close. The same without descriptors.
  std::size_t max_connections = 100'000;
  // Of one address; 0: no limit. More are closed at once.
  std::size_t max_connections_per_peer = 0;
  // On one connection, which is closed after so many; 0: no limit.
  std::size_t max_requests_per_connection = 0;
  // A request above these is answered 431 or 413, and its connection closed.
  std::size_t max_header_bytes = 64 * 1024;
  std::uint64_t max_body_bytes = std::uint64_t{16} << 20;
  // How long a connection may stay without a request.
  plait::duration idle_timeout = std::chrono::seconds(75);
  // How long a request may take to arrive, and a response to be taken. Late requests: 408.
  plait::duration read_timeout = std::chrono::seconds(30);
  plait::duration write_timeout = std::chrono::seconds(30);
  // How long a stopped server waits for the answers that are under way.
  plait::duration drain = std::chrono::seconds(5);
  // With it the server speaks https. Empty alpn: http/1.1.
  std::optional<net::tls_server_options> tls = {};
  // How long a TLS handshake may take.
  plait::duration handshake_timeout = std::chrono::seconds(10);
  // Called after each answer, on the loop; must not throw.
  std::function<void(const answered_request&)> on_answered = {};
};

struct server_statistics {
  std::size_t connections = 0;  // open now
  std::size_t accepted = 0;     // ever
  std::size_t requests = 0;     // answered, ever
  std::size_t refused = 0;      // of those: broken, too large or late
  std::size_t turned_away = 0;  // connections above max_connections_per_peer
  std::size_t handshakes_failed = 0;
  std::uint64_t bytes_sent = 0;
};

class server {
 public:
  using handler = std::function<task<response>(request)>;

  server(server_options options, handler answer);
  server(server_options options, router routes);
  server(server&&) noexcept;
  server& operator=(server&&) noexcept;
  // serve() must have ended, or never have begun.
  ~server();

  // Answers requests until it is stopped. Once.
  task<> serve();
  std::uint16_t port() const noexcept;
  // "http://127.0.0.1:8080"
  std::string url() const;
  // New connections are shown this certificate, those that are there keep theirs. On serve()'s loop,
  // of a server that was made with options.tls. Throws tls_error, and keeps the old one.
  void renew_certificate(const net::tls_server_options& tls);
  // On serve()'s loop.
  server_statistics statistics() const noexcept;

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace plait::http

// plait/http/server.hpp: an HTTP/1.1 server on the event loop.
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
// Throws:   the constructor: net::listen_error. A handler that throws answers 500, and its
//           exception goes to the unhandled-exception handler.
// Cost:     about 1.5 KB a connection, beside what its handler needs; one system call to read a
//           request and one to answer it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "plait/core/clock.hpp"
#include "plait/coroutines/task.hpp"
#include "plait/http/errors.hpp"
#include "plait/http/request.hpp"
#include "plait/http/response.hpp"

namespace plait::http {

struct server_options {
  std::string address = "127.0.0.1";  // numeric; 0.0.0.0 or :: for every interface
  std::uint16_t port = 0;             // 0: a free one
  int backlog = 4096;
  // Several servers, each on a loop of its own, share the port (see net::listen_options).
  bool reuse_port = false;
  // Connections at once; more wait in the kernel's queue.
  std::size_t max_connections = 100'000;
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
};

struct server_statistics {
  std::size_t connections = 0;  // open now
  std::size_t accepted = 0;     // ever
  std::size_t requests = 0;     // answered, ever
};

class server {
 public:
  using handler = std::function<task<response>(request)>;

  server(server_options options, handler answer);
  server(server&&) noexcept;
  server& operator=(server&&) noexcept;
  // serve() must have ended, or never have begun.
  ~server();

  // Answers requests until it is stopped. Once.
  task<> serve();
  std::uint16_t port() const noexcept;
  // "http://127.0.0.1:8080"
  std::string url() const;
  // On serve()'s loop.
  server_statistics statistics() const noexcept;

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace plait::http

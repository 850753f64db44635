// plait/http/client_session.hpp: many requests on one loop, over connections that are kept alive.
//
//   plait::http::client_session session;
//   auto response = co_await session.get("http://127.0.0.1:8080/get");
//   response.raise_for_status();
//   std::string body = co_await response.text();
//
// Threads:  belongs to the loop that it is used on, and must be gone before that loop.
// Limits:   none on connections unless options.limit says so: 1,000 gets are 1,000 connections. See
//           plait::semaphore for bounding work.
// Stops:    a stopped request closes its connection. timeout(5s, session.get(url)) works.
// Throws:   http::error and what derives from it; plait::timeout_error after options.timeouts.
//           A status of 400 or more is no error until raise_for_status().
// Retries:  as options.retries says: none. Always, once, when a kept-alive connection turns out closed
//           before the first byte of the response, and the method may be repeated (RFC 9110, 9.2.2).
// Cost:     about 2.5 KB a waiting request, one system call to send and one to receive it.
// Example:  examples/coroutines/fetch_all.cpp
#pragma once

#include <memory>
#include <string>

#include "plait/coroutines/task.hpp"
#include "plait/http/client_options.hpp"
#include "plait/http/cookie_jar.hpp"
#include "plait/http/errors.hpp"
#include "plait/http/request_options.hpp"
#include "plait/http/response.hpp"
#include "plait/http/response_stream.hpp"

namespace plait::http {

class client_session {
 public:
  explicit client_session(client_options options = {});
  client_session(client_session&&) noexcept;
  client_session& operator=(client_session&&) noexcept;
  // Closes the kept connections. No request may be under way.
  ~client_session();

  task<response> request(std::string method, std::string url, request_options options = {});
  task<response> get(std::string url, request_options options = {});
  task<response> head(std::string url, request_options options = {});
  task<response> post(std::string url, request_options options = {});
  task<response> put(std::string url, request_options options = {});
  task<response> patch(std::string url, request_options options = {});
  task<response> delete_(std::string url, request_options options = {});
  task<response> options(std::string url, request_options options = {});
  // The response's header; its body is read from what is returned.
  task<response_stream> stream(std::string method, std::string url, request_options options = {});

  cookie_jar& cookies() noexcept;
  // Connections that are open and unused.
  std::size_t idle_connections() const noexcept;

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace plait::http

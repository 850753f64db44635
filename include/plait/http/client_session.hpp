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
// Retries:  only when a kept-alive connection turns out closed before the first byte of the
//           response, once, on a fresh connection, and only for methods that may be repeated
//           (RFC 9110, 9.2.2).
// Cost:     about 2 KB a waiting request, one system call to send and one to receive it.
// Example:  examples/coroutines/fetch_all.cpp
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "plait/core/clock.hpp"
#include "plait/coroutines/task.hpp"
#include "plait/http/errors.hpp"
#include "plait/http/headers.hpp"
#include "plait/http/response.hpp"

namespace plait::http {

class transport;

struct timeouts {
  // The whole request: connecting, redirects and body included.
  plait::duration total = std::chrono::minutes(5);
  // To reach the server: name, connection, TLS.
  plait::duration connect = std::chrono::seconds(30);
};

struct client_options {
  // The most connections at once, in all and to one host and port; 0: no limit. Requests above it
  // wait their turn.
  std::size_t limit = 0;
  std::size_t limit_per_host = 0;
  http::timeouts timeouts = {};
  // How long an unused connection is kept.
  plait::duration keep_alive = std::chrono::seconds(15);
  std::string user_agent = "plait/0.1";
  // Sent with every request, unless the request says otherwise.
  http::headers headers = {};
  // 301, 302, 303, 307 and 308 are followed so often; 0: they are returned as they come.
  unsigned max_redirects = 10;
  // A body above it is a protocol_error.
  std::uint64_t max_body_bytes = std::uint64_t{1} << 30;
  std::size_t max_header_bytes = 64 * 1024;
  // Null: the network. Must outlive the session.
  http::transport* transport = nullptr;
};

// What one request says beside its method and URL.
//   session.request("POST", url, request_options().with_content("x=1").with_timeout(5s))
// Not a plain struct with designated initialisers, as other options are: these stand in co_await
// expressions, where GCC 12 destroys the members of a temporary aggregate twice.
class request_options {
 public:
  request_options() {}
  // Instead of the session's field of that name.
  request_options&& with_header(std::string_view name, std::string_view value) && {
    headers_.set(name, value);
    return std::move(*this);
  }
  request_options&& with_headers(http::headers all) && {
    headers_ = std::move(all);
    return std::move(*this);
  }
  request_options&& with_content(std::string content) && {
    content_ = std::move(content);
    return std::move(*this);
  }
  // Instead of the session's timeouts.total.
  template <class Rep, class Period>
  request_options&& with_timeout(const std::chrono::duration<Rep, Period>& total) && {
    timeout_ = plait::detail::to_duration(total);
    return std::move(*this);
  }

  http::headers& headers() noexcept { return headers_; }
  const http::headers& headers() const noexcept { return headers_; }
  std::string& content() noexcept { return content_; }
  const std::string& content() const noexcept { return content_; }
  const std::optional<plait::duration>& timeout() const noexcept { return timeout_; }

 private:
  http::headers headers_;
  std::string content_;
  std::optional<plait::duration> timeout_;
};

class client_session {
 public:
  explicit client_session(client_options options = {});
  client_session(client_session&&) noexcept;
  client_session& operator=(client_session&&) noexcept;
  // Closes the kept connections. No request may be under way.
  ~client_session();

  task<response> get(std::string url, request_options options = {});
  task<response> request(std::string method, std::string url, request_options options = {});

  // Connections that are open and unused.
  std::size_t idle_connections() const noexcept;

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace plait::http

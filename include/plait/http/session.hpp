// plait/http/session.hpp: requests.Session: blocking requests that share connections, cookies, defaults.
//
//   plait::http::session session({.headers = {{"Authorization", plait::http::basic_auth("me", "secret")}}});
//   session.post(url + "/login", request_options().with_field("user", "me"));
//   auto page = session.get(url + "/home");     // with the cookies of the login
//
// Threads:  one at a time; a call during another one throws std::logic_error. Many threads: a session
//           each, or http::get.
// Blocks:   until the response is complete.
// Stops:    a total time: options.timeouts or with_timeout().
// Throws:   as client_session; would_deadlock on a thread where an event loop runs.
// Cost:     an event loop: two descriptors.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "plait/http/client_session.hpp"

namespace plait::http {

class session {
 public:
  explicit session(client_options given = {});
  session(session&&) noexcept;
  session& operator=(session&&) noexcept;
  ~session();

  response request(std::string method, std::string url, request_options given = {});
  response get(std::string url, request_options given = {});
  response head(std::string url, request_options given = {});
  response post(std::string url, request_options given = {});
  response put(std::string url, request_options given = {});
  response patch(std::string url, request_options given = {});
  response delete_(std::string url, request_options given = {});
  response options(std::string url, request_options given = {});
  // Gives the body to `sink` piece by piece; the result has all but the body. What the sink throws
  // ends the request. The sink is not called for a status of 400 or more: then the body, up to 64 KiB
  // of it, is in the result.
  response stream(std::string method, std::string url,
                  const std::function<void(std::string_view piece)>& sink,
                  request_options given = {});

  cookie_jar& cookies() noexcept;
  std::size_t idle_connections() const noexcept;

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace plait::http

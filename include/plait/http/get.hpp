// plait/http/get.hpp: blocking requests, for threads.
//
//   auto response = plait::http::get("http://127.0.0.1:8080/get");
//   auto created = plait::http::post(url, request_options().with_json(R"({"name":"me"})"));
//   auto future = executor.submit(plait::http::get, url);      // cancel() reaches it
//
// Each thread that calls has a loop and a session of its own, with connections that are kept alive, and
// without cookies; for cookies and options see session.hpp. The code is client_session's.
//
// Threads:  any, at once.
// Blocks:   until the response is complete.
// Stops:    given a std::stop_token (an executor gives one): throws cancelled_error.
// Throws:   as client_session; would_deadlock on a thread where an event loop runs: co_await a
//           client_session there.
// Example:  examples/threads/fetch.cpp
#pragma once

#include <stop_token>
#include <string>

#include "plait/http/client_session.hpp"

namespace plait::http {

// Any method.
response send(std::string method, std::string url, request_options given = {});
response send(std::stop_token stop, std::string method, std::string url,
              request_options given = {});

enum class method { get, head, post, put, patch, delete_, options };
std::string to_string(method m);

// Function objects, so that an executor can be given them and still leave out the options.
template <method M>
struct blocking_call {
  response operator()(std::string url, request_options given = {}) const {
    return send(to_string(M), std::move(url), std::move(given));
  }
  response operator()(std::stop_token stop, std::string url, request_options given = {}) const {
    return send(std::move(stop), to_string(M), std::move(url), std::move(given));
  }
};
inline constexpr blocking_call<method::get> get;
inline constexpr blocking_call<method::head> head;
inline constexpr blocking_call<method::post> post;
inline constexpr blocking_call<method::put> put;
inline constexpr blocking_call<method::patch> patch;
inline constexpr blocking_call<method::delete_> delete_;
inline constexpr blocking_call<method::options> options;

}  // namespace plait::http

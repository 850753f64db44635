// plait/http/get.hpp: blocking requests, for threads.
//
//   auto response = plait::http::get("http://127.0.0.1:8080/get");
//   auto future = executor.submit(plait::http::get, url);      // cancel() reaches it
//
// Each thread that calls has a loop and a session of its own, with connections that are kept alive;
// the code is client_session's.
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

// A function object, so that an executor can be given it and still leave out the options.
struct blocking_get {
  response operator()(std::string url, request_options options = {}) const;
  response operator()(std::stop_token stop, std::string url, request_options options = {}) const;
};
inline constexpr blocking_get get;

}  // namespace plait::http

// plait/http/httpbin.hpp: a handler with httpbin's routes, for examples, tests and measurements.
//
//   plait::http::server server({.port = 8080}, plait::http::httpbin());
//
//   /get            JSON of the request: args, headers, origin, url
//   /delay/SECONDS  the same after that time; fractions allowed, at most max_delay; any method
//   /bytes/N        N random bytes, at most max_bytes; ?seed=S makes them the same every time
//   /status/CODE    an empty answer with that status; redirects go to /redirect/1; any method
//   /redirect/N     N redirects that end at /get
// Anything else is 404, another method 405.
#pragma once

#include <cstddef>

#include "plait/core/clock.hpp"
#include "plait/http/server.hpp"

namespace plait::http {

struct httpbin_options {
  plait::duration max_delay = std::chrono::seconds(10);
  std::size_t max_bytes = 100 * 1024;
};

server::handler httpbin(httpbin_options options = {});

}  // namespace plait::http

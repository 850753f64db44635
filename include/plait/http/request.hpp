// plait/http/request.hpp: what a client asked of our server.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plait/http/headers.hpp"
#include "plait/net/endpoint.hpp"

namespace plait::http {

struct request {
  std::string method = {};  // "GET", as it came
  std::string target = {};  // "/get?name=value", as it came
  http::headers headers = {};
  std::string content = {};
  net::endpoint peer = {};  // who asks

  // The target up to its query, percent-decoded.
  std::string path() const;
  // The text after the first '?', as it came.
  std::string_view query_text() const noexcept;
  // Its names and values, decoded (%41, +), in order.
  std::vector<std::pair<std::string, std::string>> query() const;
};

}  // namespace plait::http

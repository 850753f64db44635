// plait/http/json.hpp: bodies as nlohmann's JSON values. Not part of http.hpp: it needs nlohmann-json.
//
//   auto made = co_await session.post(url, json_options({{"name", "me"}}));
//   const std::string id = plait::http::json_of(made).at("id");
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "plait/http/errors.hpp"
#include "plait/http/request_options.hpp"
#include "plait/http/response.hpp"

namespace plait::http {

// Options with this value as the body.
inline request_options json_options(const nlohmann::json& value) {
  return request_options().with_json(value.dump());
}

// Throws protocol_error, which names the URL and shows the beginning, if the body is not JSON.
inline nlohmann::json json_of(const response& from) {
  auto value = nlohmann::json::parse(from.content, nullptr, false);
  if (value.is_discarded())
    throw protocol_error("the body of " + from.url + " is not JSON: " + from.content.substr(0, 80));
  return value;
}

}  // namespace plait::http

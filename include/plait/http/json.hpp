// plait/http/json.hpp: bodies as nlohmann's JSON values. Not part of http.hpp: it needs nlohmann-json.
//
//   auto made = co_await session.post(url, json_options({{"name", "me"}}));
//   const std::string id = plait::http::json_of(made).at("id");
//
//   routes.post("/things", [](const plait::http::request& asked) {
//     return plait::http::json_response({{"name", plait::http::json_of(asked).at("name")}}, 201);
//   });
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "plait/http/errors.hpp"
#include "plait/http/refusal.hpp"
#include "plait/http/request.hpp"
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

// In a handler: the request's body; refused with 400, which is the answer, if it is not JSON.
inline nlohmann::json json_of(const request& asked) {
  auto value = nlohmann::json::parse(asked.content, nullptr, false);
  if (value.is_discarded()) throw refusal(400, "The body of this request is not JSON.");
  return value;
}

// What a handler answers. Text that is not UTF-8 is mended.
inline response json_response(const nlohmann::json& value, int status_code = 200) {
  response answer;
  answer.status_code = status_code;
  answer.headers.add("Content-Type", "application/json");
  answer.content = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return answer;
}

}  // namespace plait::http

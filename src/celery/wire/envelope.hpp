// celery/wire/envelope.hpp: a message as kombu moves it: body, headers and properties.
//
// Redis and SQLite keep the whole as one JSON text; AMQP sends the parts apart, and whoever speaks
// it fills an envelope from them. What is not known here is kept, for forwarding.
//
// Throws:   decode_error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "plait/celery/json.hpp"
#include "plait/celery/value.hpp"

namespace plait::celery::detail {

struct delivery_info {
  std::string exchange = {};
  std::string routing_key = {};
  dict other = {};  // redelivered, and more
};

struct message_properties {
  std::optional<std::string> correlation_id = {};  // of a task: its id
  std::optional<std::string> reply_to = {};
  std::optional<std::string> expiration = {};  // milliseconds
  std::string delivery_tag = {};               // of this publishing; made by the publisher
  std::int64_t delivery_mode = 2;              // 1: need not survive the broker
  std::int64_t priority = 0;
  detail::delivery_info delivery_info = {};
  dict other = {};
};

struct envelope {
  std::string body = {};  // raw: base64 is a matter of the JSON text
  std::string content_type = "application/json";
  std::string content_encoding = "utf-8";
  dict headers = {};
  message_properties properties = {};
  dict other = {};

  // As kombu marks what was handed out before.
  bool redelivered() const noexcept;
};

envelope decode_envelope(std::string_view text, const json_limits& limits = {});
std::string encode_envelope(const envelope& e, dialect d = dialect::typed);

}  // namespace plait::celery::detail

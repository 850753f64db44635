#include "celery/amqp/message.hpp"

#include <algorithm>

#include "celery/wire/envelope.hpp"

namespace plait::celery::amqp {
namespace {

constexpr const char* as_it_is = "application/x-plait-text";

outgoing made_of(std::string_view text, const std::string& exchange, const std::string& key) {
  outgoing to(exchange, key, {}, {});
  properties& p = to.properties;
  try {
    detail::envelope e = detail::decode_envelope(text);
    p.content_type = std::move(e.content_type);
    p.content_encoding = std::move(e.content_encoding);
    p.headers = std::move(e.headers);
    p.delivery_mode = e.properties.delivery_mode == 1 ? 1 : 2;
    p.priority = static_cast<int>(std::clamp<std::int64_t>(e.properties.priority, 0, 255));
    p.correlation_id = std::move(e.properties.correlation_id);
    p.reply_to = std::move(e.properties.reply_to);
    p.expiration = std::move(e.properties.expiration);
    if (!e.properties.delivery_tag.empty()) p.message_id = std::move(e.properties.delivery_tag);
    to.body = std::move(e.body);
  } catch (const celery::error&) {
    p = {};
    p.content_type = as_it_is;
    p.delivery_mode = 2;
    to.body = text;
  }
  return to;
}

bool is_ours(std::string_view header) {
  return header.starts_with("x-plait-") || header == "x-delivery-count";
}

dict without_ours(const std::optional<dict>& headers) {
  dict left;
  if (headers)
    for (const dict::entry& each : *headers)
      if (!is_ours(each.key)) left.append(each.key, each.value);
  return left;
}

const value* find_header(const incoming& message, const char* name) {
  const auto& headers = message.properties.headers;
  return headers ? headers->find(name) : nullptr;
}

}  // namespace

outgoing to_queue(std::string_view envelope, const std::string& queue) {
  return made_of(envelope, "", queue);
}

outgoing to_exchange(std::string_view envelope, const std::string& exchange,
                     const std::string& routing_key) {
  return made_of(envelope, exchange, routing_key);
}

std::string envelope_of(const incoming& message) {
  const properties& p = message.properties;
  if (p.content_type == as_it_is) return message.body;
  detail::envelope e;
  e.body = message.body;
  e.content_type = p.content_type;
  e.content_encoding = p.content_encoding.empty() ? "utf-8" : p.content_encoding;
  e.headers = without_ours(p.headers);
  e.properties.correlation_id = p.correlation_id;
  e.properties.reply_to = p.reply_to;
  e.properties.expiration = p.expiration;
  e.properties.delivery_tag = p.message_id.value_or(std::to_string(message.delivery_tag));
  e.properties.delivery_mode = p.delivery_mode < 0 ? 1 : p.delivery_mode;
  e.properties.priority = std::max(p.priority, 0);
  e.properties.delivery_info.exchange = message.exchange;
  e.properties.delivery_info.routing_key = message.routing_key;
  e.properties.delivery_info.other.append("redelivered", message.redelivered);
  try {
    return detail::encode_envelope(e);
  } catch (const celery::error& why) {
    // Headers that JSON cannot carry. This is no envelope either, and buried like one that is malformed.
    return std::string("what RabbitMQ delivered cannot be read: ") + why.what();
  }
}

std::int64_t number_in(const incoming& message, const char* header) {
  const value* found = find_header(message, header);
  const auto* number = found != nullptr ? found->get_if<std::int64_t>() : nullptr;
  return number != nullptr ? *number : 0;
}

std::string text_in(const incoming& message, const char* header) {
  const value* found = find_header(message, header);
  const auto* text = found != nullptr ? found->get_if<std::string>() : nullptr;
  return text != nullptr ? *text : std::string();
}

unsigned deliveries_of(const incoming& message) {
  // A quorum queue counts; a classic one only says that it was not the first time.
  const std::int64_t by_queue = find_header(message, "x-delivery-count") != nullptr
                                    ? number_in(message, "x-delivery-count")
                                    : (message.redelivered ? 1 : 0);
  return static_cast<unsigned>(
      std::clamp<std::int64_t>(number_in(message, deliveries_header) + by_queue, 0, 1'000'000) + 1);
}

outgoing again(const incoming& message, const std::string& queue) {
  outgoing to("", queue, message.properties, message.body);
  if (to.properties.headers) to.properties.headers = without_ours(to.properties.headers);
  return to;
}

}  // namespace plait::celery::amqp

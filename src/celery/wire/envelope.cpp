#include "celery/wire/envelope.hpp"

#include <utility>

#include "celery/wire/base64.hpp"
#include "plait/celery/wire_errors.hpp"

namespace plait::celery::detail {
namespace {

// Says what is wrong, and of which task as far as that is known.
struct envelope_reader {
  std::optional<std::string> task_id = {};

  [[noreturn]] void fail(const std::string& what) const {
    throw decode_error(decode_error::reason::bad_envelope, "message: " + what, task_id);
  }
  template <class T>
  T taken(const std::string& key, value& from) const {
    if (T* held = from.get_if<T>()) return std::move(*held);
    fail("'" + key + "' is of type " + from.type_name());
  }
  std::optional<std::string> text_or_null(const std::string& key, value& from) const {
    if (from.is_null()) return {};
    return taken<std::string>(key, from);
  }

  void learn_task(const dict& parts) {
    for (const auto& [part, key] : {std::pair{"headers", "id"}, {"properties", "correlation_id"}}) {
      const value* const within = parts.find(part);
      const value* const id = within != nullptr ? within->find(key) : nullptr;
      if (id == nullptr || !id->is<std::string>()) continue;
      task_id = *id->get_if<std::string>();
      return;
    }
  }

  delivery_info read_delivery_info(dict from) const {
    delivery_info made;
    for (dict::entry& each : from) {
      if (each.key == "exchange")
        made.exchange = text_or_null(each.key, each.value).value_or("");
      else if (each.key == "routing_key")
        made.routing_key = text_or_null(each.key, each.value).value_or("");
      else
        made.other.append(std::move(each.key), std::move(each.value));
    }
    return made;
  }

  // `base64`: whether the body is written so.
  message_properties read_properties(dict from, bool& base64) const {
    message_properties made;
    bool has_tag = false, has_delivery_info = false;
    for (dict::entry& each : from) {
      const std::string& key = each.key;
      if (key == "correlation_id") {
        made.correlation_id = text_or_null(key, each.value);
      } else if (key == "reply_to") {
        made.reply_to = text_or_null(key, each.value);
      } else if (key == "expiration") {
        made.expiration = text_or_null(key, each.value);
      } else if (key == "delivery_mode") {
        made.delivery_mode = taken<std::int64_t>(key, each.value);
      } else if (key == "priority") {
        made.priority = each.value.is_null() ? 0 : taken<std::int64_t>(key, each.value);
      } else if (key == "delivery_tag") {
        made.delivery_tag = taken<std::string>(key, each.value);
        has_tag = true;
      } else if (key == "delivery_info") {
        made.delivery_info = read_delivery_info(taken<dict>(key, each.value));
        has_delivery_info = true;
      } else if (key == "body_encoding") {
        const auto encoding = text_or_null(key, each.value);
        if (encoding && *encoding != "base64") fail("unknown body_encoding \"" + *encoding + '"');
        base64 = encoding.has_value();
      } else {
        made.other.append(std::move(each.key), std::move(each.value));
      }
    }
    if (!has_tag) fail("without a delivery_tag");
    if (!has_delivery_info) fail("without delivery_info");
    return made;
  }
};

void append_text(std::string& to, const char* key, const std::string& text) {
  to += key;
  append_json_string(to, text);
}

void append_others(std::string& to, const dict& others, dialect d) {
  for (const dict::entry& each : others) {
    to += ',';
    append_json_string(to, each.key);
    to += ':';
    append_json(to, each.value, d);
  }
}

}  // namespace

bool envelope::redelivered() const noexcept {
  for (const dict* from : {&headers, &properties.delivery_info.other})
    if (const value* mark = from->find("redelivered"))
      if (const bool* yes = mark->get_if<bool>(); yes != nullptr && *yes) return true;
  return false;
}

envelope decode_envelope(std::string_view text, const json_limits& limits) {
  value whole = parse_json(text, limits);
  envelope_reader reader;
  dict* const parts = whole.get_if<dict>();
  if (parts == nullptr) reader.fail(std::string("it is of type ") + whole.type_name());
  reader.learn_task(*parts);

  envelope made;
  made.content_type.clear();
  bool has_body = false, has_properties = false, base64 = false;
  for (dict::entry& each : *parts) {
    const std::string& key = each.key;
    if (key == "body") {
      made.body = reader.taken<std::string>(key, each.value);
      has_body = true;
    } else if (key == "content-type") {
      made.content_type = reader.taken<std::string>(key, each.value);
    } else if (key == "content-encoding") {
      made.content_encoding = reader.text_or_null(key, each.value).value_or("utf-8");
    } else if (key == "headers") {
      if (!each.value.is_null()) made.headers = reader.taken<dict>(key, each.value);
    } else if (key == "properties") {
      made.properties = reader.read_properties(reader.taken<dict>(key, each.value), base64);
      has_properties = true;
    } else {
      made.other.append(std::move(each.key), std::move(each.value));
    }
  }
  if (!has_properties) reader.fail("without properties");
  if (!has_body) reader.fail("without a body");
  if (made.content_type.empty()) reader.fail("without a content-type");
  if (base64) {
    auto raw = from_base64(made.body);
    if (!raw)
      throw decode_error(decode_error::reason::bad_body, "message: the body is not base64",
                         reader.task_id);
    made.body = *std::move(raw);
  }
  return made;
}

std::string encode_envelope(const envelope& e, dialect d) {
  std::string text;
  text.reserve(e.body.size() * 4 / 3 + 1536);
  text += R"({"body":")";
  append_base64(text, e.body);
  append_text(text, R"(","content-encoding":)", e.content_encoding);
  append_text(text, R"(,"content-type":)", e.content_type);
  text += R"(,"headers":)";
  append_json(text, e.headers, d);

  const message_properties& p = e.properties;
  text += R"(,"properties":{)";
  if (p.correlation_id) append_text(text, R"("correlation_id":)", *p.correlation_id), text += ',';
  if (p.reply_to) append_text(text, R"("reply_to":)", *p.reply_to), text += ',';
  if (p.expiration) append_text(text, R"("expiration":)", *p.expiration), text += ',';
  text += R"("delivery_mode":)" + std::to_string(p.delivery_mode);
  append_text(text, R"(,"delivery_info":{"exchange":)", p.delivery_info.exchange);
  append_text(text, R"(,"routing_key":)", p.delivery_info.routing_key);
  append_others(text, p.delivery_info.other, d);
  text += R"(},"priority":)" + std::to_string(p.priority);
  append_text(text, R"(,"body_encoding":"base64","delivery_tag":)", p.delivery_tag);
  append_others(text, p.other, d);
  text += '}';
  append_others(text, e.other, d);
  text += '}';
  return text;
}

}  // namespace plait::celery::detail

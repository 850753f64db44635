#include "celery/wire/control_message.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <utility>

#include "celery/wire/body.hpp"
#include "plait/celery/wire_errors.hpp"

namespace plait::celery::detail {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw decode_error(decode_error::reason::bad_control, "control message: " + what);
}

template <class T>
std::optional<T> taken(const std::string& key, value& from) {
  if (from.is_null()) return {};
  if (T* held = from.get_if<T>()) return std::move(*held);
  fail("'" + key + "' is of type " + from.type_name());
}

std::optional<double> number(const std::string& key, const value* from) {
  if (from == nullptr || from->is_null()) return {};
  if (const auto* real = from->get_if<double>()) return *real;
  if (const auto* whole = from->get_if<std::int64_t>()) return static_cast<double>(*whole);
  fail("'" + key + "' is of type " + from->type_name());
}

std::int64_t whole_number(const std::string& key, const value* from) {
  if (from == nullptr || from->is_null()) return 0;
  if (const auto* whole = from->get_if<std::int64_t>()) return *whole;
  fail("'" + key + "' is of type " + from->type_name());
}

value body_of(const envelope& from) { return decode_body(from, compression_of(from, {}), {}, {}); }

dict dict_of(value from) {
  dict* const entries = from.get_if<dict>();
  if (entries == nullptr) fail(std::string("the body is of type ") + from.type_name());
  return std::move(*entries);
}

std::vector<std::string> names_of(list from) {
  std::vector<std::string> names;
  for (value& each : from)
    names.push_back(taken<std::string>("destination", each).value_or(std::string()));
  return names;
}

control_request::address address_of(dict from) {
  control_request::address made;
  for (dict::entry& each : from) {
    if (each.key == "exchange")
      made.exchange = taken<std::string>(each.key, each.value).value_or("");
    if (each.key == "routing_key")
      made.routing_key = taken<std::string>(each.key, each.value).value_or("");
  }
  return made;
}

event event_of(value from) {
  event made;
  for (dict::entry& each : dict_of(std::move(from))) {
    const std::string& key = each.key;
    if (key == "type")
      made.type = taken<std::string>(key, each.value).value_or("");
    else if (key == "hostname")
      made.hostname = taken<std::string>(key, each.value).value_or("");
    else if (key == "timestamp")
      made.timestamp = number(key, &each.value).value_or(0);
    else if (key == "utcoffset")
      made.utcoffset = whole_number(key, &each.value);
    else if (key == "pid")
      made.pid = whole_number(key, &each.value);
    else if (key == "clock")
      made.clock = whole_number(key, &each.value);
    else
      made.fields.append(std::move(each.key), std::move(each.value));
  }
  if (made.type.empty()) fail("an event without a type");
  return made;
}

dict body_of(const event& e) {
  dict made;
  made.reserve(6 + e.fields.size());
  made.append("hostname", e.hostname);
  made.append("utcoffset", e.utcoffset);
  made.append("pid", e.pid);
  made.append("clock", e.clock);
  for (const dict::entry& each : e.fields) made.append(each.key, each.value);
  made.append("timestamp", e.timestamp);
  made.append("type", e.type);
  return made;
}

envelope event_envelope(const value& body, const std::string& hostname, std::string routing_key) {
  envelope made;
  made.body = to_json(body);
  made.headers = {{"hostname", hostname}};
  made.properties.delivery_mode = 1;
  made.properties.delivery_info = {.exchange = "celeryev", .routing_key = std::move(routing_key)};
  return made;
}

}  // namespace

bool control_request::is_for(std::string_view node) const {
  if (destination)
    return std::find(destination->begin(), destination->end(), node) != destination->end();
  if (!pattern) return true;
  if (matcher && *matcher != "glob") return false;
  return fnmatch(pattern->c_str(), std::string(node).c_str(), 0) == 0;
}

control_request decode_request(const envelope& from) {
  control_request made;
  for (dict::entry& each : dict_of(body_of(from))) {
    const std::string& key = each.key;
    if (key == "method") {
      made.method = taken<std::string>(key, each.value).value_or("");
    } else if (key == "arguments") {
      made.arguments = taken<dict>(key, each.value).value_or(dict());
    } else if (key == "destination") {
      if (auto names = taken<list>(key, each.value)) made.destination = names_of(*std::move(names));
    } else if (key == "pattern") {
      made.pattern = taken<std::string>(key, each.value);
    } else if (key == "matcher") {
      made.matcher = taken<std::string>(key, each.value);
    } else if (key == "ticket") {
      made.ticket = taken<std::string>(key, each.value).value_or("");
    } else if (key == "reply_to") {
      if (auto address = taken<dict>(key, each.value))
        made.reply_to = address_of(*std::move(address));
    }
  }
  if (made.method.empty()) fail("a request without a method");
  made.clock = whole_number("clock", from.headers.find("clock"));
  made.expires = number("expires", from.headers.find("expires"));
  // 0 stands for none.
  if (made.expires == 0.0) made.expires.reset();
  return made;
}

envelope encode_request(const control_request& r, const std::string& exchange) {
  dict body{{"method", r.method}, {"arguments", r.arguments}};
  value names;
  if (r.destination) names = list(r.destination->begin(), r.destination->end());
  body.append("destination", std::move(names));
  body.append("pattern", r.pattern ? value(*r.pattern) : value());
  body.append("matcher", r.matcher ? value(*r.matcher) : value());
  if (!r.ticket.empty()) body.append("ticket", r.ticket);
  if (r.reply_to)
    body.append("reply_to",
                dict{{"exchange", r.reply_to->exchange}, {"routing_key", r.reply_to->routing_key}});
  envelope made;
  made.body = to_json(body);
  made.headers = {{"clock", r.clock}, {"expires", r.expires ? value(*r.expires) : value(0)}};
  made.properties.delivery_info.exchange = exchange;
  return made;
}

control_reply decode_reply(const envelope& from) {
  dict body = dict_of(body_of(from));
  if (body.size() != 1) fail("a reply is of one node, not of " + std::to_string(body.size()));
  control_reply made{.node = body.begin()->key, .answer = std::move(body.begin()->value)};
  if (const value* ticket = from.headers.find("ticket");
      ticket != nullptr && ticket->is<std::string>())
    made.ticket = *ticket->get_if<std::string>();
  made.clock = whole_number("clock", from.headers.find("clock"));
  return made;
}

envelope encode_reply(const control_reply& r, const control_request::address& to) {
  envelope made;
  made.body = to_json(dict{{r.node, r.answer}});
  made.headers = {{"ticket", r.ticket}, {"clock", r.clock}};
  made.properties.delivery_mode = 1;
  made.properties.delivery_info = {.exchange = to.exchange, .routing_key = to.routing_key};
  return made;
}

std::vector<event> decode_events(const envelope& from) {
  value body = body_of(from);
  std::vector<event> events;
  if (list* const batch = body.get_if<list>())
    for (value& each : *batch) events.push_back(event_of(std::move(each)));
  else
    events.push_back(event_of(std::move(body)));
  return events;
}

envelope encode_event(const event& e) {
  std::string routing_key = e.type;
  std::replace(routing_key.begin(), routing_key.end(), '-', '.');
  return event_envelope(body_of(e), e.hostname, std::move(routing_key));
}

envelope encode_events(const std::vector<event>& batch) {
  list bodies;
  bodies.reserve(batch.size());
  for (const event& each : batch) bodies.push_back(body_of(each));
  return event_envelope(std::move(bodies), batch.empty() ? "" : batch.front().hostname,
                        "task.multi");
}

}  // namespace plait::celery::detail

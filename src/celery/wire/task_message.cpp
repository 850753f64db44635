#include "celery/wire/task_message.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "celery/wire/body.hpp"
#include "celery/wire/iso8601.hpp"
#include "plait/celery/wire_errors.hpp"

namespace plait::celery::detail {
namespace {

using reason = decode_error::reason;

// One header at a time into its place.
struct header_reader {
  task_message& to;
  std::optional<std::string> id;

  [[noreturn]] void fail(const std::string& what) const {
    throw decode_error(reason::bad_header, "task message: " + what, id);
  }
  [[noreturn]] void wrong_type(const std::string& key, const value& v) const {
    fail("header '" + key + "' is of type " + v.type_name());
  }
  template <class T>
  T taken(const std::string& key, value& from) const {
    if (T* held = from.get_if<T>()) return std::move(*held);
    wrong_type(key, from);
  }
  template <class T>
  std::optional<T> taken_or_null(const std::string& key, value& from) const {
    if (from.is_null()) return {};
    return taken<T>(key, from);
  }
  std::optional<datetime> moment(const std::string& key, value& from) const {
    if (from.is_null()) return {};
    if (datetime* held = from.get_if<datetime>()) return *held;
    const auto text = taken<std::string>(key, from);
    const auto made = datetime_from(text);
    if (!made) fail("header '" + key + "' is no ISO 8601 date and time: " + repr(text, 60));
    return made;
  }
  std::optional<float_seconds> seconds(const std::string& key, const value& from) const {
    if (from.is_null()) return {};
    double count = -1;
    if (const auto* whole = from.get_if<std::int64_t>()) count = static_cast<double>(*whole);
    if (const auto* real = from.get_if<double>()) count = *real;
    if (!(count >= 0) || std::isinf(count))
      fail("header '" + key + "' has a limit that is no number of seconds: " + repr(from, 60));
    return float_seconds(count);
  }

  void read_task(const std::string& key, value& v) { to.task = taken<std::string>(key, v); }
  void read_id(const std::string& key, value& v) { to.id = taken<std::string>(key, v); }
  void read_root(const std::string& key, value& v) {
    to.root_id = taken_or_null<std::string>(key, v).value_or("");
  }
  void read_parent(const std::string& key, value& v) {
    to.parent_id = taken_or_null<std::string>(key, v);
  }
  void read_group(const std::string& key, value& v) {
    to.group = taken_or_null<std::string>(key, v);
  }
  void read_group_index(const std::string& key, value& v) {
    to.group_index = taken_or_null<std::int64_t>(key, v);
  }
  void read_retries(const std::string& key, value& v) {
    const auto count = taken_or_null<std::int64_t>(key, v).value_or(0);
    if (count < 0 || count > std::numeric_limits<std::uint32_t>::max())
      fail("header 'retries' is no count: " + std::to_string(count));
    to.retries = static_cast<std::uint32_t>(count);
  }
  void read_eta(const std::string& key, value& v) { to.eta = moment(key, v); }
  void read_expires(const std::string& key, value& v) { to.expires = moment(key, v); }
  void read_limits(const std::string& key, value& v) {
    if (v.is_null()) return;
    const list* const both = v.get_if<list>();
    if (both == nullptr || both->size() != 2)
      fail("header 'timelimit' is not [hard, soft]: " + repr(v, 60));
    to.limits = {.hard = seconds(key, (*both)[0]), .soft = seconds(key, (*both)[1])};
  }
  void read_shadow(const std::string& key, value& v) {
    to.shadow = taken_or_null<std::string>(key, v);
  }
  void read_ignore_result(const std::string& key, value& v) {
    to.ignore_result = taken_or_null<bool>(key, v);
  }
  void read_nesting(const std::string& key, value& v) {
    to.replaced_task_nesting = taken_or_null<std::int64_t>(key, v);
  }
  void read_argsrepr(const std::string& key, value& v) {
    to.argsrepr = taken_or_null<std::string>(key, v).value_or("");
  }
  void read_kwargsrepr(const std::string& key, value& v) {
    to.kwargsrepr = taken_or_null<std::string>(key, v).value_or("");
  }
  void read_origin(const std::string& key, value& v) {
    to.origin = taken_or_null<std::string>(key, v).value_or("");
  }
  void read_stamped_headers(const std::string&, value& v) { to.stamped_headers = std::move(v); }
  void read_stamps(const std::string&, value& v) { to.stamps = std::move(v); }

  void read(dict from);
};

struct known_header {
  std::string_view name;
  void (header_reader::*read)(const std::string& key, value& v);
};
// In the order in which Celery writes them: the next is mostly found at the first look.
constexpr std::array known_headers{
    known_header{"task", &header_reader::read_task},
    known_header{"id", &header_reader::read_id},
    known_header{"shadow", &header_reader::read_shadow},
    known_header{"eta", &header_reader::read_eta},
    known_header{"expires", &header_reader::read_expires},
    known_header{"group", &header_reader::read_group},
    known_header{"group_index", &header_reader::read_group_index},
    known_header{"retries", &header_reader::read_retries},
    known_header{"timelimit", &header_reader::read_limits},
    known_header{"root_id", &header_reader::read_root},
    known_header{"parent_id", &header_reader::read_parent},
    known_header{"argsrepr", &header_reader::read_argsrepr},
    known_header{"kwargsrepr", &header_reader::read_kwargsrepr},
    known_header{"origin", &header_reader::read_origin},
    known_header{"ignore_result", &header_reader::read_ignore_result},
    known_header{"replaced_task_nesting", &header_reader::read_nesting},
    known_header{"stamped_headers", &header_reader::read_stamped_headers},
    known_header{"stamps", &header_reader::read_stamps},
};

void header_reader::read(dict from) {
  std::size_t expected = 0;
  for (dict::entry& each : from) {
    std::size_t looked_at = 0;
    for (; looked_at < known_headers.size(); ++looked_at) {
      const std::size_t i = (expected + looked_at) % known_headers.size();
      if (known_headers[i].name != each.key) continue;
      (this->*known_headers[i].read)(each.key, each.value);
      expected = i + 1;
      break;
    }
    if (looked_at == known_headers.size())
      to.headers.append(std::move(each.key), std::move(each.value));
  }
  if (to.id.empty()) fail("without an id");
  if (to.task.empty()) fail("without the name of a task");
  if (to.root_id.empty()) to.root_id = to.id;
}

struct body_reader {
  task_message& to;

  [[noreturn]] void fail(const std::string& what) const {
    throw decode_error(reason::bad_body, "task message: " + what, to.id);
  }

  void read_args(value& from) {
    list* const args = from.get_if<list>();
    if (args == nullptr) fail(std::string("args are of type ") + from.type_name());
    to.args = std::move(*args);
  }
  void read_kwargs(value& from) {
    dict* const kwargs = from.get_if<dict>();
    if (kwargs == nullptr) fail(std::string("kwargs are of type ") + from.type_name());
    to.kwargs = std::move(*kwargs);
  }
  signature read_signature(const char* name, value from) const {
    try {
      return signature::from_value(std::move(from));
    } catch (const decode_error& e) {
      throw decode_error(e.why(), std::string("task message: in ") + name + ": " + e.what(), to.id);
    }
  }
  std::vector<signature> read_signatures(const char* name, value& from) const {
    std::vector<signature> made;
    if (from.is_null()) return made;
    list* const items = from.get_if<list>();
    if (items == nullptr) fail(std::string(name) + " are of type " + from.type_name());
    for (value& each : *items) made.push_back(read_signature(name, std::move(each)));
    return made;
  }
  // Whether `key` is one of them.
  bool read_embedded(const std::string& key, value& from) {
    if (key == "callbacks")
      to.embed.callbacks = read_signatures("callbacks", from);
    else if (key == "errbacks")
      to.embed.errbacks = read_signatures("errbacks", from);
    else if (key == "chain")
      to.embed.chain = read_signatures("chain", from);
    else if (key != "chord")
      return false;
    else if (!from.is_null())
      to.embed.chord = read_signature("chord", std::move(from));
    return true;
  }

  void read_triple(list& triple) {
    if (triple.size() != 3)
      fail("the body is not [args, kwargs, embed] but a list of " + std::to_string(triple.size()));
    read_args(triple[0]);
    read_kwargs(triple[1]);
    if (triple[2].is_null()) return;
    dict* const embed = triple[2].get_if<dict>();
    if (embed == nullptr) fail(std::string("embed is of type ") + triple[2].type_name());
    for (dict::entry& each : *embed)
      if (!read_embedded(each.key, each.value))
        to.embed.other.append(std::move(each.key), std::move(each.value));
  }
};

// Protocol 1, and its hybrid with 2: arguments and headers stand together in the body. What the
// message's own headers say wins.
void read_protocol_1(task_message& to, dict body, dict headers, std::optional<std::string> id) {
  value args = list(), kwargs = dict();
  dict embed, merged;
  for (dict::entry& each : body) {
    if (each.key == "args")
      args = std::move(each.value);
    else if (each.key == "kwargs")
      kwargs = std::move(each.value);
    else if (each.key == "callbacks" || each.key == "errbacks" || each.key == "chord")
      embed.append(std::move(each.key), std::move(each.value));
    else if (each.key == "taskset") {
      if (!each.value.is_null()) merged.set("group", std::move(each.value));
    } else if (each.key != "utc" && each.key != "group")
      merged.set(std::move(each.key), std::move(each.value));
    else if (each.key == "group" && merged.find("group") == nullptr)
      merged.set("group", std::move(each.value));
  }
  for (dict::entry& each : headers) merged.set(std::move(each.key), std::move(each.value));
  if (const value* own = merged.find("id"); own != nullptr && own->is<std::string>())
    id = *own->get_if<std::string>();
  header_reader{to, std::move(id)}.read(std::move(merged));
  list triple{std::move(args), std::move(kwargs), std::move(embed)};
  body_reader{to}.read_triple(triple);
}

std::optional<std::string> id_of(const envelope& from) {
  const value* const id = from.headers.find("id");
  if (id != nullptr && id->is<std::string>()) return *id->get_if<std::string>();
  return from.properties.correlation_id;
}

value or_null(const std::optional<std::string>& text) { return text ? value(*text) : value(); }
value or_null(const std::optional<datetime>& moment) {
  if (!moment) return {};
  datetime with_zone = *moment;
  if (!with_zone.offset) with_zone.offset = std::chrono::seconds(0);
  return to_iso(with_zone);
}
value or_null(const std::optional<float_seconds>& limit) {
  if (!limit) return {};
  const double count = limit->count();
  if (count == std::floor(count) && count < 1e15) return static_cast<std::int64_t>(count);
  return count;
}
value or_null(const std::vector<signature>& calls) {
  if (calls.empty()) return {};
  list made;
  made.reserve(calls.size());
  for (const signature& each : calls) made.push_back(each.to_value());
  return made;
}

std::string body_of(const task_message& m, dialect d) {
  std::string text;
  text.reserve(256);
  text += '[';
  append_json(text, m.args, d);
  text += ',';
  append_json(text, m.kwargs, d);
  dict embed;
  embed.append("callbacks", or_null(m.embed.callbacks));
  embed.append("errbacks", or_null(m.embed.errbacks));
  embed.append("chain", or_null(m.embed.chain));
  embed.append("chord", m.embed.chord ? m.embed.chord->to_value() : value());
  for (const dict::entry& each : m.embed.other) embed.append(each.key, each.value);
  text += ',';
  append_json(text, embed, d);
  text += ']';
  return text;
}

}  // namespace

task_message decode_task(envelope from, const json_limits& limits) {
  task_message made;
  std::optional<std::string> id = id_of(from);
  const bool protocol_2 = from.headers.find("task") != nullptr;
  if (protocol_2) {
    // Before the body: whatever is wrong with that, the task's id is known.
    const auto packing = compression_of(from, id);
    header_reader{made, std::move(id)}.read(std::move(from.headers));
    made.headers.erase("compression");
    value body = decode_body(from, packing, made.id, limits);
    if (list* const triple = body.get_if<list>()) {
      body_reader{made}.read_triple(*triple);
    } else if (dict* const hybrid = body.get_if<dict>()) {
      dict rest;
      for (const char* key : {"args", "kwargs", "callbacks", "errbacks", "chord"})
        if (auto taken = hybrid->take(key)) rest.append(key, *std::move(taken));
      list parts{rest.take("args").value_or(list()), rest.take("kwargs").value_or(dict()),
                 std::move(rest)};
      body_reader{made}.read_triple(parts);
    } else {
      body_reader{made}.fail(std::string("the body is of type ") + body.type_name());
    }
    return made;
  }
  const auto packing = compression_of(from, id);
  value body = decode_body(from, packing, id, limits);
  dict* const entries = body.get_if<dict>();
  if (entries == nullptr || entries->find("task") == nullptr)
    throw decode_error(reason::bad_header, "task message: neither headers nor body name a task",
                       std::move(id));
  from.headers.erase("compression");
  read_protocol_1(made, std::move(*entries), std::move(from.headers), std::move(id));
  return made;
}

envelope encode_task(const task_message& m, dialect d, compression c) {
  envelope made;
  dict& h = made.headers;
  h.reserve(20 + m.headers.size());
  if (m.headers.find("lang") == nullptr) h.append("lang", "py");
  h.append("task", m.task);
  h.append("id", m.id);
  h.append("shadow", or_null(m.shadow));
  h.append("eta", or_null(m.eta));
  h.append("expires", or_null(m.expires));
  h.append("group", or_null(m.group));
  h.append("group_index", m.group_index ? value(*m.group_index) : value());
  h.append("retries", m.retries);
  h.append("timelimit", list{or_null(m.limits.hard), or_null(m.limits.soft)});
  h.append("root_id", m.root_id.empty() ? m.id : m.root_id);
  h.append("parent_id", or_null(m.parent_id));
  h.append("argsrepr", m.argsrepr.empty() ? repr_arguments(m.args) : m.argsrepr);
  h.append("kwargsrepr", m.kwargsrepr.empty() ? repr(m.kwargs, 1024) : m.kwargsrepr);
  h.append("origin", m.origin);
  h.append("ignore_result", m.ignore_result ? value(*m.ignore_result) : value());
  if (m.replaced_task_nesting) h.append("replaced_task_nesting", *m.replaced_task_nesting);
  if (!m.stamped_headers.is_null()) h.append("stamped_headers", m.stamped_headers);
  if (!m.stamps.is_null()) h.append("stamps", m.stamps);
  for (const dict::entry& each : m.headers) h.append(each.key, each.value);
  made.body = body_of(m, d);
  if (c == compression::zlib) compress_body(made);
  made.properties.correlation_id = m.id;
  return made;
}

}  // namespace plait::celery::detail

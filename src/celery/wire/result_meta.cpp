#include "celery/wire/result_meta.hpp"

#include <utility>

#include "celery/wire/iso8601.hpp"
#include "plait/celery/wire_errors.hpp"

namespace plait::celery::detail {
namespace {

struct result_reader {
  std::optional<std::string> id = {};

  [[noreturn]] void fail(const std::string& what) const {
    throw decode_error(decode_error::reason::bad_result, "result: " + what, id);
  }
  template <class T>
  std::optional<T> taken_or_null(const std::string& key, value& from) const {
    if (from.is_null()) return {};
    if (T* held = from.get_if<T>()) return std::move(*held);
    fail("'" + key + "' is of type " + from.type_name());
  }
  // It is for people to see: one that nobody can read is kept as it is.
  bool read_date(result_meta& to, const value& from) const {
    if (const auto* held = from.get_if<datetime>()) to.date_done = *held;
    if (const auto* text = from.get_if<std::string>()) to.date_done = datetime_from(*text);
    return to.date_done.has_value() || from.is_null();
  }
};

}  // namespace

bool result_meta::is_ready() const noexcept {
  return status == "SUCCESS" || status == "FAILURE" || status == "REVOKED";
}

exception_info result_meta::failure() const {
  try {
    return exception_info::from_value(result);
  } catch (const decode_error& e) {
    throw decode_error(e.why(), e.what(), task_id);
  }
}

result_meta decode_result(std::string_view text, const json_limits& limits) {
  return result_from(parse_json(text, limits));
}

result_meta result_from(value from) {
  result_reader reader;
  dict* const entries = from.get_if<dict>();
  if (entries == nullptr) reader.fail(std::string("it is of type ") + from.type_name());
  if (const value* id = entries->find("task_id"); id != nullptr && id->is<std::string>())
    reader.id = *id->get_if<std::string>();
  result_meta made;
  for (dict::entry& each : *entries) {
    const std::string& key = each.key;
    if (key == "status")
      made.status = reader.taken_or_null<std::string>(key, each.value).value_or("");
    else if (key == "result")
      made.result = std::move(each.value);
    else if (key == "traceback")
      made.traceback = reader.taken_or_null<std::string>(key, each.value);
    else if (key == "children")
      made.children = reader.taken_or_null<list>(key, each.value).value_or(list());
    else if (key == "task_id")
      made.task_id = reader.taken_or_null<std::string>(key, each.value).value_or("");
    else if (key == "group_id")
      made.group_id = reader.taken_or_null<std::string>(key, each.value);
    else if (key == "parent_id")
      made.parent_id = reader.taken_or_null<std::string>(key, each.value);
    else if (key != "date_done" || !reader.read_date(made, each.value))
      made.other.append(std::move(each.key), std::move(each.value));
  }
  if (made.task_id.empty()) reader.fail("without a task_id");
  if (made.status.empty()) reader.fail("without a status");
  return made;
}

std::string encode_result(const result_meta& m, dialect d) {
  std::string text;
  text.reserve(256);
  const auto put = [&](const char* key, const std::string& words) {
    text += key;
    append_json_string(text, words);
  };
  put(R"({"status":)", m.status);
  text += R"(,"result":)";
  append_json(text, m.result, d);
  if (m.traceback)
    put(R"(,"traceback":)", *m.traceback);
  else
    text += R"(,"traceback":null)";
  text += R"(,"children":)";
  append_json(text, m.children, d);
  if (m.date_done)
    put(R"(,"date_done":)", to_iso(*m.date_done));
  else if (m.other.find("date_done") == nullptr)
    text += R"(,"date_done":null)";
  if (m.group_id) put(R"(,"group_id":)", *m.group_id);
  if (m.parent_id) put(R"(,"parent_id":)", *m.parent_id);
  for (const dict::entry& each : m.other) {
    text += ',';
    append_json_string(text, each.key);
    text += ':';
    append_json(text, each.value, d);
  }
  put(R"(,"task_id":)", m.task_id);
  text += '}';
  return text;
}

value result_node(const std::string& id, const std::optional<std::string>& parent) {
  // Python's result_from_tuple wants a node for the parent too.
  value above;
  if (parent) above = result_node(*parent);
  return list{list{id, std::move(above)}, nullptr};
}

}  // namespace plait::celery::detail

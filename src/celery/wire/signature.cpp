#include "plait/celery/signature.hpp"

#include <utility>

#include "plait/celery/wire_errors.hpp"

namespace plait::celery {
namespace {

[[noreturn]] void no_signature(const std::string& what) {
  throw decode_error(decode_error::reason::bad_body, "no signature: " + what);
}

// Moves what `from` holds; null stands for nothing at all.
template <class T>
T taken(const std::string& key, value& from) {
  if (from.is_null()) return {};
  if (T* held = from.get_if<T>()) return std::move(*held);
  no_signature("'" + key + "' is of type " + from.type_name());
}

list values_of(const std::vector<signature>& calls) {
  list made;
  made.reserve(calls.size());
  for (const signature& each : calls) made.push_back(each.to_value());
  return made;
}

std::vector<signature> signatures_of(const value* from) {
  std::vector<signature> made;
  const list* items = from != nullptr ? from->get_if<list>() : nullptr;
  if (items == nullptr) no_signature("the calls inside of it are no list");
  for (const value& each : *items) made.push_back(signature::from_value(each));
  return made;
}

}  // namespace

value signature::to_value() const {
  dict made;
  made.reserve(6 + other.size());
  made.append("task", task);
  made.append("args", args);
  made.append("kwargs", kwargs);
  made.append("options", options);
  made.append("subtask_type", subtask_type ? value(*subtask_type) : value());
  made.append("immutable", immutable);
  for (const dict::entry& each : other) made.append(each.key, each.value);
  return made;
}

signature signature::from_value(value from) {
  dict* const entries = from.get_if<dict>();
  if (entries == nullptr) no_signature(std::string("it is of type ") + from.type_name());
  signature made;
  for (dict::entry& each : *entries) {
    if (each.key == "task")
      made.task = taken<std::string>(each.key, each.value);
    else if (each.key == "args")
      made.args = taken<list>(each.key, each.value);
    else if (each.key == "kwargs")
      made.kwargs = taken<dict>(each.key, each.value);
    else if (each.key == "options")
      made.options = taken<dict>(each.key, each.value);
    else if (each.key == "immutable")
      made.immutable = taken<bool>(each.key, each.value);
    else if (each.key != "subtask_type")
      made.other.append(std::move(each.key), std::move(each.value));
    else if (!each.value.is_null())
      made.subtask_type = taken<std::string>(each.key, each.value);
  }
  if (made.task.empty()) no_signature("'task' is missing");
  return made;
}

list signature::arguments_after(const value& result) const {
  if (immutable) return args;
  list made;
  made.reserve(args.size() + 1);
  made.push_back(result);
  made.insert(made.end(), args.begin(), args.end());
  return made;
}

std::vector<signature> signature::members() const {
  if (task == "celery.chain" || task == "celery.group") return signatures_of(kwargs.find("tasks"));
  if (task != "celery.chord") return {};
  const value* const header = kwargs.find("header");
  if (header != nullptr && header->is<dict>()) return from_value(*header).members();
  return signatures_of(header);
}

std::optional<signature> signature::body() const {
  if (task != "celery.chord") return {};
  const value* const found = kwargs.find("body");
  if (found == nullptr) no_signature("a chord without a body");
  return from_value(*found);
}

namespace {

// Beside those that are there: None, one signature, or a list of them.
void add_call(dict& options, const char* key, const signature& one) {
  list all;
  if (value* const there = options.find(key)) {
    if (list* const several = there->get_if<list>()) {
      all = std::move(*several);
    } else if (!there->is_null()) {
      all.push_back(std::move(*there));
    }
  }
  all.push_back(one.to_value());
  options.set(key, std::move(all));
}

signature over(const char* task, signature each, list items) {
  return {.task = task,
          .kwargs = {{"task", each.to_value()}, {"it", std::move(items)}},
          .immutable = true};
}

}  // namespace

signature& signature::link(const signature& callback) {
  add_call(options, "link", callback);
  return *this;
}

signature& signature::link_error(const signature& errback) {
  add_call(options, "link_error", errback);
  return *this;
}

signature chain(std::vector<signature> calls) {
  return {.task = "celery.chain", .kwargs = {{"tasks", values_of(calls)}}, .subtask_type = "chain"};
}

signature group(std::vector<signature> calls) {
  return {.task = "celery.group", .kwargs = {{"tasks", values_of(calls)}}, .subtask_type = "group"};
}

signature chord(std::vector<signature> header, signature body) {
  return {.task = "celery.chord",
          .kwargs = {{"kwargs", dict()},
                     {"header", group(std::move(header)).to_value()},
                     {"body", body.to_value()}},
          .subtask_type = "chord"};
}

signature map(signature task, list items) {
  return over("celery.map", std::move(task), std::move(items));
}

signature starmap(signature task, list argument_lists) {
  return over("celery.starmap", std::move(task), std::move(argument_lists));
}

signature chunks(signature task, list argument_lists, std::size_t size) {
  auto made = over("celery.chunks", std::move(task), std::move(argument_lists));
  made.kwargs.append("n", size);
  return made;
}

}  // namespace plait::celery

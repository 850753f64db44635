#include "celery/canvas.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "celery/client.hpp"
#include "celery/wire/iso8601.hpp"
#include "plait/celery/json.hpp"
#include "plait/celery/wire_errors.hpp"

namespace plait::celery::detail {
namespace {

[[noreturn]] void malformed(const std::string& what) {
  throw decode_error(decode_error::reason::bad_body, "workflow: " + what);
}

bool is_chain(const signature& s) { return s.task == "celery.chain"; }
bool is_group(const signature& s) { return s.task == "celery.group"; }
bool is_chord(const signature& s) { return s.task == "celery.chord"; }
bool is_chunks(const signature& s) { return s.task == "celery.chunks"; }

const value* option(const signature& s, std::string_view key) {
  const value* const v = s.options.find(key);
  return v != nullptr && !v->is_null() ? v : nullptr;
}
std::optional<std::string> text_option(const signature& s, std::string_view key) {
  const value* const v = option(s, key);
  const auto* const text = v != nullptr ? v->get_if<std::string>() : nullptr;
  return text != nullptr ? std::optional(*text) : std::nullopt;
}
std::string id_of(const signature& s) { return text_option(s, "task_id").value_or(""); }
std::string keep_id(signature& s) {
  auto id = id_of(s);
  if (id.empty()) s.options.set("task_id", id = new_id());
  return id;
}
// One signature or several.
std::vector<signature> signatures_option(const signature& s, std::string_view key) {
  std::vector<signature> all;
  const value* const v = option(s, key);
  if (v == nullptr) return all;
  if (const auto* several = v->get_if<list>()) {
    for (const value& one : *several) all.push_back(signature::from_value(one));
  } else {
    all.push_back(signature::from_value(*v));
  }
  return all;
}
void add_to_list(signature& s, const char* key, const signature& one) {
  list all;
  for (const auto& before : signatures_option(s, key)) all.push_back(before.to_value());
  const value added = one.to_value();
  if (std::find(all.begin(), all.end(), added) == all.end()) all.push_back(added);
  s.options.set(key, std::move(all));
}

void set_tasks(signature& s, const std::vector<signature>& members) {
  list all;
  all.reserve(members.size());
  for (const auto& each : members) all.push_back(each.to_value());
  s.kwargs.set("tasks", std::move(all));
}

// A chord's header as the group that it is, with its id.
signature header_of(const signature& chord) {
  const value* const found = chord.kwargs.find("header");
  if (found != nullptr && found->is<dict>()) {
    auto header = signature::from_value(*found);
    if (is_group(header)) return header;
    std::vector<signature> one;
    one.push_back(std::move(header));
    return group(std::move(one));
  }
  return group(chord.members());
}
signature body_of(const signature& chord) {
  auto body = chord.body();
  if (!body) malformed("a chord without a body");
  return *std::move(body);
}

signature group_of_chunks(const signature& s) {
  const value* const task = s.kwargs.find("task");
  const value* const items = s.kwargs.find("it");
  const value* const size = s.kwargs.find("n");
  const auto* const all = items != nullptr ? items->get_if<list>() : nullptr;
  const auto* const n = size != nullptr ? size->get_if<std::int64_t>() : nullptr;
  if (task == nullptr || all == nullptr || n == nullptr || *n < 1)
    malformed("chunks are of a task, a list and a size of 1 or more");
  std::vector<signature> members;
  for (std::size_t i = 0; i < all->size(); i += static_cast<std::size_t>(*n)) {
    const auto end = std::min(all->size(), i + static_cast<std::size_t>(*n));
    list part(all->begin() + static_cast<std::ptrdiff_t>(i),
              all->begin() + static_cast<std::ptrdiff_t>(end));
    members.push_back(starmap(signature::from_value(*task), std::move(part)));
  }
  auto made = group(std::move(members));
  made.options = s.options;
  return made;
}

void splice(const signature& chain, std::vector<signature>& into) {
  const auto errbacks = signatures_option(chain, "link_error");
  for (auto& step : chain.members()) {
    for (const auto& errback : errbacks) add_link_error(step, errback);
    if (is_chain(step)) {
      splice(step, into);
    } else {
      into.push_back(is_chunks(step) ? group_of_chunks(step) : std::move(step));
    }
  }
}

// All steps but the last have one result, which is the next one's first argument.
std::vector<signature> steps_of(const signature& s) {
  std::vector<signature> steps;
  splice(s, steps);
  if (steps.empty()) malformed("a chain of no calls");
  // From the end, as Celery does: what follows on a group or a chord is a body by then.
  for (std::size_t i = steps.size() - 1; i-- > 0;) {
    const bool of_group = is_group(steps[i]);
    if (!of_group && !is_chord(steps[i])) continue;
    std::vector<signature> rest(
        std::make_move_iterator(steps.begin() + static_cast<std::ptrdiff_t>(i) + 1),
        std::make_move_iterator(steps.end()));
    steps.resize(i + 1);
    if (of_group) {
      auto body = rest.size() == 1 ? std::move(rest.front()) : chain(std::move(rest));
      signature upgraded{.task = "celery.chord",
                         .kwargs = {{"kwargs", dict()},
                                    {"header", steps[i].to_value()},
                                    {"body", body.to_value()}},
                         .subtask_type = "chord",
                         .immutable = steps[i].immutable};
      steps[i] = std::move(upgraded);
    } else {
      rest.insert(rest.begin(), body_of(steps[i]));
      steps[i].kwargs.set("body", chain(std::move(rest)).to_value());
    }
  }
  return steps;
}

std::vector<signature> flat_members(const signature& s) {
  std::vector<signature> all;
  const auto errbacks = signatures_option(s, "link_error");
  for (auto& member : s.members()) {
    if (is_chunks(member)) member = group_of_chunks(member);
    for (const auto& errback : errbacks) add_link_error(member, errback);
    if (is_group(member)) {
      for (auto& inner : flat_members(member)) all.push_back(std::move(inner));
    } else {
      all.push_back(std::move(member));
    }
  }
  return all;
}

// Of the calls whose end is the workflow's: of what group and chord they are a part.
void set_place(signature& s, const std::string& group, std::int64_t index,
               const std::optional<signature>& chord_body) {
  if (is_chain(s)) {
    auto steps = s.members();
    if (steps.empty()) malformed("a chain of no calls");
    set_place(steps.back(), group, index, chord_body);
    set_tasks(s, steps);
  } else if (is_group(s)) {
    auto members = s.members();
    for (auto& each : members) set_place(each, group, index, chord_body);
    set_tasks(s, members);
  } else if (is_chord(s)) {
    auto body = body_of(s);
    set_place(body, group, index, chord_body);
    s.kwargs.set("body", body.to_value());
  } else {
    s.options.set("group_id", group);
    s.options.set("group_index", index);
    if (chord_body) s.options.set("chord", chord_body->to_value());
  }
}

bool has_place(const signature& s) {
  if (is_chord(s)) return has_place(body_of(s));
  if (is_chain(s) || is_group(s)) {
    const auto members = s.members();
    return !members.empty() && has_place(members.back());
  }
  return option(s, "group_id") != nullptr;
}

// A group as one call: the list of its results, as Celery's Task.replace() has it.
signature accumulated() { return {.task = "celery.accumulate", .kwargs = {{"index", 0}}}; }

// Of the one call whose end is the workflow's; a group has none.
template <class F>
void change_end(signature& s, const F& change) {
  if (is_chain(s)) {
    auto steps = s.members();
    if (is_group(steps.back())) steps.back() = chord(steps.back().members(), accumulated());
    change_end(steps.back(), change);
    set_tasks(s, steps);
  } else if (is_chord(s)) {
    auto body = body_of(s);
    if (is_group(body)) body = chord(body.members(), accumulated());
    change_end(body, change);
    s.kwargs.set("body", body.to_value());
  } else {
    change(s);
  }
}

// How many ends of tasks make the end of it.
std::size_t size_of(const signature& s) {
  if (is_chord(s)) return size_of(body_of(s));
  if (is_chain(s)) return size_of(s.members().back());
  if (!is_group(s)) return 1;
  std::size_t sum = 0;
  for (const auto& each : s.members()) sum += size_of(each);
  return sum;
}

datetime moment_of(const char* what, const value& v) {
  if (const auto* at = v.get_if<datetime>()) return *at;
  if (const auto* text = v.get_if<std::string>())
    if (const auto at = datetime_from(*text)) return *at;
  constexpr double a_century = 3.2e9;
  double seconds = a_century;
  if (const auto* whole = v.get_if<std::int64_t>()) {
    seconds = static_cast<double>(*whole);
  } else if (const auto* real = v.get_if<double>()) {
    seconds = *real;
  }
  if (!(std::abs(seconds) < a_century))
    malformed(std::string(what) + " is no time: " + repr(v, 60));
  return datetime_after(std::chrono::microseconds(std::llround(1e6 * seconds)));
}

std::optional<float_seconds> limit_of(const signature& s, std::string_view key) {
  const value* const v = option(s, key);
  if (v == nullptr) return {};
  return float_seconds(celery::from_value<double>(*v));
}

parcel message_of(const caller& by, const signature& s, const list& before) {
  task_message m;
  m.task = s.task;
  m.id = id_of(s);
  m.root_id = by.root_id.value_or(text_option(s, "root_id").value_or(m.id));
  m.parent_id = by.parent_id ? by.parent_id : text_option(s, "parent_id");
  m.origin = node_name();
  if (!s.immutable) m.args = before;
  m.args.insert(m.args.end(), s.args.begin(), s.args.end());
  m.kwargs = s.kwargs;
  m.embed.callbacks = signatures_option(s, "link");
  m.embed.errbacks = signatures_option(s, "link_error");
  m.embed.chain = signatures_option(s, "chain");
  if (const value* body = option(s, "chord")) m.embed.chord = signature::from_value(*body);
  m.group = text_option(s, "group_id");
  if (const value* index = option(s, "group_index"))
    m.group_index = celery::from_value<std::int64_t>(*index);
  if (const value* eta = option(s, "eta")) m.eta = moment_of("eta", *eta);
  if (const value* later = option(s, "countdown")) m.eta = moment_of("countdown", *later);
  if (const value* end = option(s, "expires")) m.expires = moment_of("expires", *end);
  m.limits = {.hard = limit_of(s, "time_limit"), .soft = limit_of(s, "soft_time_limit")};
  m.shadow = text_option(s, "shadow");
  m.stamped_headers = by.stamped_headers;
  m.stamps = by.stamps;
  if (const value* headers = option(s, "headers"))
    if (const auto* own = headers->get_if<dict>()) m.headers = *own;

  const auto known = by.tasks.find(s.task);
  const task_options* const of_task = known != by.tasks.end() ? &known->second->options() : nullptr;
  if (const value* ignore = option(s, "ignore_result"))
    m.ignore_result = celery::from_value<bool>(*ignore);
  else if (by.ignore_result || (of_task != nullptr && of_task->ignore_result))
    m.ignore_result = true;
  std::string queue = by.default_queue;
  if (of_task != nullptr && !of_task->queue.empty()) queue = of_task->queue;
  queue = text_option(s, "queue").value_or(queue);
  int priority = of_task != nullptr ? of_task->priority : 0;
  if (const value* p = option(s, "priority")) priority = celery::from_value<int>(*p);
  return parcel_of(m, queue, std::clamp(priority, 0, 9));
}

void call_frozen(const caller& by, const signature& s, const list& before, workflow_start& start);

void call_chain(const caller& by, const signature& s, const list& before, workflow_start& start) {
  auto steps = s.members();
  if (steps.empty()) malformed("a chain of no calls");
  auto first = std::move(steps.front());
  steps.erase(steps.begin());
  std::reverse(steps.begin(), steps.end());  // as it travels: the next one is the last
  list rest;
  // What a caller adds to a chain comes after all of it.
  if (const value* after = option(s, "chain"))
    if (const auto* more = after->get_if<list>()) rest = *more;
  for (const auto& each : steps) rest.push_back(each.to_value());
  if (!rest.empty()) first.options.set("chain", std::move(rest));
  first.args.insert(first.args.begin(), s.args.begin(), s.args.end());
  call_frozen(by, first, s.immutable ? list() : before, start);
}

void call_group(const caller& by, const signature& s, const list& before, workflow_start& start) {
  auto members = s.members();
  const auto id = id_of(s);
  for (std::size_t i = 0; i != members.size(); ++i) {
    if (!has_place(members[i])) set_place(members[i], id, static_cast<std::int64_t>(i), {});
    call_frozen(by, members[i], before, start);
  }
}

void call_chord(const caller& by, const signature& s, const list& before, workflow_start& start) {
  auto body = body_of(s);
  const auto header = header_of(s);
  auto members = header.members();
  if (members.empty()) {
    call_frozen(by, body, list{list()}, start);
    return;
  }
  const auto id = id_of(header);
  // What runs it later is any worker: it knows where it belongs.
  if (by.root_id) body.options.set("root_id", *by.root_id);
  if (by.parent_id) body.options.set("parent_id", *by.parent_id);
  std::size_t size = 0;
  bool has_lists = false;
  for (const auto& each : members) {
    size += size_of(each);
    has_lists |= result_of(each).is_group;
  }
  if (has_lists) start.groups.push_back(result_of(header));
  start.chords.push_back({id, size});
  list first = s.immutable ? list() : before;
  first.insert(first.end(), s.args.begin(), s.args.end());
  for (std::size_t i = 0; i != members.size(); ++i) {
    set_place(members[i], id, static_cast<std::int64_t>(i), body);
    call_frozen(by, members[i], first, start);
  }
}

// What a caller said of a chord or a chain's group as a whole belongs to what comes at its end.
signature with_own_options(signature s) {
  if (is_chain(s)) {
    for (const auto& callback : signatures_option(s, "link")) add_link(s, callback);
    s.options.erase("link");
  } else if (is_group(s)) {
    const auto rest = signatures_option(s, "chain");
    if (rest.empty()) return s;
    s.options.erase("chain");
    std::vector<signature> steps(rest.rbegin(), rest.rend());
    steps.insert(steps.begin(), std::move(s));
    return chain(std::move(steps));
  } else if (is_chord(s)) {
    const auto rest = signatures_option(s, "chain");
    for (const auto& callback : signatures_option(s, "link")) add_link(s, callback);
    for (const auto& errback : signatures_option(s, "link_error")) add_link_error(s, errback);
    const auto group_id = text_option(s, "group_id");
    if (group_id && !has_place(s)) {
      std::int64_t index = 0;
      if (const value* i = option(s, "group_index")) index = celery::from_value<std::int64_t>(*i);
      const auto bodies = signatures_option(s, "chord");
      set_place(s, *group_id, index, bodies.empty() ? std::nullopt : std::optional(bodies.front()));
    }
    s.options = {};
    if (rest.empty()) return s;
    std::vector<signature> steps(rest.rbegin(), rest.rend());
    steps.insert(steps.begin(), std::move(s));
    return chain(std::move(steps));
  }
  return s;
}

void call_frozen(const caller& by, const signature& s, const list& before, workflow_start& start) {
  if ((is_group(s) || is_chord(s)) && option(s, "chain") != nullptr) {
    auto whole = with_own_options(s);
    freeze(whole);
    if (is_chain(whole)) return call_chain(by, whole, before, start);
    return call_frozen(by, whole, before, start);
  }
  if (is_chain(s)) return call_chain(by, s, before, start);
  if (is_group(s)) return call_group(by, s, before, start);
  if (is_chord(s)) return call_chord(by, s, before, start);
  start.parcels.push_back(message_of(by, s, before));
}

}  // namespace

value result_tree::to_value() const {
  list nodes;
  for (const auto& each : members) nodes.push_back(each.to_value());
  return list{list{id, nullptr}, is_group ? value(std::move(nodes)) : value()};
}

result_tree result_tree::from_value(const value& from) {
  const auto* const pair = from.get_if<list>();
  if (pair == nullptr || pair->size() != 2) malformed("no result: " + repr(from, 60));
  // [[id, parent], members], and of an old Celery [id, members].
  const auto* const with_parent = (*pair)[0].get_if<list>();
  const value& id =
      with_parent != nullptr && !with_parent->empty() ? with_parent->front() : (*pair)[0];
  if (!id.is<std::string>()) malformed("a result without an id: " + repr(from, 60));
  result_tree made{.id = *id.get_if<std::string>()};
  if (const auto* nodes = (*pair)[1].get_if<list>()) {
    made.is_group = true;
    for (const value& each : *nodes) made.members.push_back(from_value(each));
  }
  return made;
}

std::string encode_group(const result_tree& group) {
  return to_json(dict{{"result", group.to_value()}});
}

result_tree decode_group(std::string_view text) {
  const value whole = parse_json(text);
  const value* const result = whole.find("result");
  if (result == nullptr) malformed("a saved group without a result");
  return result_tree::from_value(*result);
}

bool is_workflow(const signature& s) {
  return is_chain(s) || is_group(s) || is_chord(s) || is_chunks(s);
}

void freeze(signature& s) {
  if (is_chunks(s)) s = group_of_chunks(s);
  if (is_chain(s)) {
    auto steps = steps_of(s);
    // A chain's id is that of its last call.
    const auto id = id_of(s);
    if (!id.empty() && !is_workflow(steps.back()) && id_of(steps.back()).empty())
      steps.back().options.set("task_id", id);
    for (auto& each : steps) freeze(each);
    s.options.erase("link_error");  // it is with each of them
    set_tasks(s, steps);
  } else if (is_group(s)) {
    keep_id(s);
    auto members = flat_members(s);
    for (auto& each : members) freeze(each);
    s.options.erase("link_error");
    set_tasks(s, members);
  } else if (is_chord(s)) {
    auto header = header_of(s);
    auto body = body_of(s);
    freeze(header);
    freeze(body);
    s.kwargs.set("header", header.to_value());
    s.kwargs.set("body", body.to_value());
  } else {
    keep_id(s);
  }
}

result_tree result_of(const signature& frozen) {
  if (is_chain(frozen)) return result_of(frozen.members().back());
  if (is_chord(frozen)) return result_of(body_of(frozen));
  result_tree tree{.id = id_of(frozen), .is_group = is_group(frozen)};
  if (tree.is_group)
    for (const auto& each : frozen.members()) tree.members.push_back(result_of(each));
  return tree;
}

std::vector<std::string> tasks_of(const signature& frozen) {
  std::vector<std::string> all;
  const auto add = [&all](const signature& s) {
    for (auto& id : tasks_of(s)) all.push_back(std::move(id));
  };
  if (is_chain(frozen) || is_group(frozen)) {
    for (const auto& each : frozen.members()) add(each);
  } else if (is_chord(frozen)) {
    for (const auto& each : frozen.members()) add(each);
    add(body_of(frozen));
  } else if (auto id = id_of(frozen); !id.empty()) {
    all.push_back(std::move(id));
  }
  return all;
}

std::vector<signature> beginnings_of(const signature& frozen) {
  std::vector<signature> all;
  if (is_chain(frozen)) return beginnings_of(frozen.members().front());
  if (!is_group(frozen) && !is_chord(frozen)) return {frozen};
  for (const auto& each : frozen.members())
    for (auto& first : beginnings_of(each)) all.push_back(std::move(first));
  return all;
}

std::vector<signature> ends_of(const signature& frozen) {
  std::vector<signature> all;
  if (is_chain(frozen)) return ends_of(frozen.members().back());
  if (is_chord(frozen)) return ends_of(body_of(frozen));
  if (!is_group(frozen)) return {frozen};
  for (const auto& each : frozen.members())
    for (auto& last : ends_of(each)) all.push_back(std::move(last));
  return all;
}

std::vector<signature> errbacks_of(const signature& s) {
  return signatures_option(s, "link_error");
}

void take_place(signature& s, const task_message& m) {
  freeze(s);
  if (is_group(s)) s = chord(s.members(), accumulated());
  const auto set = [&m](signature& end) {
    end.options.set("task_id", m.id);
    for (const auto& callback : m.embed.callbacks) add_link(end, callback);
    list rest;
    for (const auto& each : m.embed.chain) rest.push_back(each.to_value());
    if (!rest.empty()) end.options.set("chain", std::move(rest));
    if (m.group) end.options.set("group_id", *m.group);
    if (m.group_index) end.options.set("group_index", *m.group_index);
    if (m.embed.chord) end.options.set("chord", m.embed.chord->to_value());
  };
  change_end(s, set);
  for (const auto& errback : m.embed.errbacks) add_link_error(s, errback);
}

void add_link(signature& s, const signature& callback) {
  if (is_chunks(s) || is_group(s))
    throw std::invalid_argument("a group has no callback: a chord has one, its body");
  if (is_chain(s)) {
    auto steps = steps_of(s);
    add_link(steps.back(), callback);
    set_tasks(s, steps);
  } else if (is_chord(s)) {
    auto body = body_of(s);
    add_link(body, callback);
    s.kwargs.set("body", body.to_value());
  } else {
    add_to_list(s, "link", callback);
  }
}

void add_link_error(signature& s, const signature& errback) {
  if (is_chain(s) || is_group(s)) {
    auto members = s.members();
    for (auto& each : members) add_link_error(each, errback);
    set_tasks(s, members);
  } else if (is_chord(s)) {
    auto body = body_of(s);
    add_link_error(body, errback);
    s.kwargs.set("body", body.to_value());
  } else {
    add_to_list(s, "link_error", errback);
  }
}

void set_options(signature& s, const dict& each, const dict& first) {
  const dict none;
  if (is_chain(s) || is_group(s)) {
    auto members = s.members();
    for (std::size_t i = 0; i != members.size(); ++i)
      set_options(members[i], each, is_chain(s) && i != 0 ? none : first);
    set_tasks(s, members);
  } else if (is_chord(s)) {
    auto header = header_of(s);
    auto body = body_of(s);
    set_options(header, each, first);
    set_options(body, each, none);
    s.kwargs.set("header", header.to_value());
    s.kwargs.set("body", body.to_value());
  } else {
    for (const dict* options : {&each, &first})
      for (const auto& o : *options)
        if (option(s, o.key) == nullptr) s.options.set(o.key, o.value);
  }
}

result_tree call_signature(const caller& by, signature s, const list& before,
                           workflow_start& start) {
  s = with_own_options(std::move(s));
  freeze(s);
  call_frozen(by, s, before, start);
  return result_of(s);
}

}  // namespace plait::celery::detail

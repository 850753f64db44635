#include "celery/outcome.hpp"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <map>

#include "celery/client.hpp"
#include "celery/wall_clock.hpp"

namespace plait::celery::detail {

outcome read_reply(const std::string& text) {
  const value all = parse_json(text);
  outcome o;
  if (const value* ok = all.find("ok")) {
    o.what = outcome::kind::success;
    o.result = *ok;
  } else if (const value* error = all.find("error")) {
    o.error = exception_info::from_value(*error);
  } else if (const value* instead = all.find("replace")) {
    o.what = outcome::kind::replaced;
    o.in_place = signature::from_value(*instead);
  } else {
    o.what = outcome::kind::retry;
    if (const value* countdown = all.find("countdown"))
      o.countdown = from_value<duration>(*countdown);
    if (const value* most = all.find("max_retries")) o.max_retries = from_value<unsigned>(*most);
  }
  return o;
}

bool may_retry(const outcome& o, const task_message& m, const task_options& t) {
  const bool wanted =
      o.what == outcome::kind::retry || (o.what == outcome::kind::failure && t.autoretry);
  return wanted && m.retries < o.max_retries.value_or(t.max_retries);
}

duration retry_delay(const outcome& o, const task_message& m, const task_options& t,
                     double random) {
  if (o.countdown) return std::max(*o.countdown, duration::zero());
  if (!t.retry_backoff) return t.retry_delay;
  const double most = static_cast<double>(t.retry_backoff_max.count());
  const double grown = static_cast<double>(t.retry_delay.count()) * std::exp2(m.retries);
  const double delay = std::min(grown, most) * (t.retry_jitter ? random : 1.0);
  return duration(static_cast<duration::rep>(delay));
}

stored_result stored(const result_meta& m, duration expires) {
  return {m.task_id, m.status, encode_result(m), expires};
}

namespace {

result_meta meta_of(const call_facts& f, std::string status) {
  result_meta m;
  m.task_id = f.message.id;
  m.status = std::move(status);
  m.group_id = f.message.group;
  m.parent_id = f.message.parent_id;
  if (m.is_ready()) m.date_done = datetime_of(wall_clock_now());
  return m;
}

caller caller_of(const call_facts& f) {
  const auto& m = f.message;
  return {.tasks = f.tasks,
          .default_queue = f.default_queue,
          .parent_id = m.id,
          .root_id = m.root_id.empty() ? m.id : m.root_id,
          .stamped_headers = m.stamped_headers,
          .stamps = m.stamps};
}

list just(value v) {
  list one;
  one.push_back(std::move(v));
  return one;
}

// Errbacks are told the id of the call that failed. A failure stays one, whatever they are.
void call_errbacks(const caller& by, const std::vector<signature>& errbacks, const std::string& id,
                   workflow_start& start) {
  for (const auto& errback : errbacks) {
    try {
      call_signature(by, errback, just(id), start);
    } catch (const std::exception& e) {
      std::cerr << "plait worker: an errback of " << id << " was not called: " << e.what() << '\n';
    }
  }
}

// What never comes has failed as well: whoever waits for it hears why, and so do chords.
void abandon(const call_facts& f, signature never, const result_meta& why, call_end& end) {
  try {
    freeze(never);
  } catch (const std::exception&) {
    return;  // nobody can wait for what has no form
  }
  for (const auto& id : tasks_of(never)) {
    auto same = why;
    same.task_id = id;
    same.children = {};
    same.group_id = {};
    end.more.push_back(stored(same, f.result_expires));
  }
  for (auto& last : ends_of(never)) {
    const value* const body = last.options.find("chord");
    const value* const group = last.options.find("group_id");
    const value* const id = last.options.find("task_id");
    if (body == nullptr || body->is_null() || group == nullptr || !group->is<std::string>())
      continue;
    part_end part{.group = *group->get_if<std::string>(),
                  .task_id = *id->get_if<std::string>(),
                  .index = {},
                  .body = signature::from_value(*body),
                  .state = why.status,
                  .result = why.result};
    if (const value* index = last.options.find("group_index"); index && index->is<std::int64_t>())
      part.index = *index->get_if<std::int64_t>();
    end.parts.push_back(std::move(part));
  }
}

// As Python prints it: ValueError('bad').
std::string repr_of(const exception_info& e) {
  std::string text = e.type + '(';
  for (const auto& each : e.arguments) {
    if (text.back() != '(') text += ", ";
    text += repr(each, 500);
  }
  return text + ')';
}

value put_together(const result_tree& shape, const std::map<std::string, const value*>& results) {
  if (shape.is_group) {
    list all;
    for (const auto& each : shape.members) all.push_back(put_together(each, results));
    return all;
  }
  const auto found = results.find(shape.id);
  return found != results.end() ? *found->second : value();
}

}  // namespace

call_end end_of(const call_facts& f, outcome o) {
  const auto& m = f.message;
  call_end end;
  list children;
  if (o.what == outcome::kind::success && !(m.embed.callbacks.empty() && m.embed.chain.empty())) {
    try {
      const auto by = caller_of(f);
      const list result = just(o.result);
      for (const auto& callback : m.embed.callbacks)
        children.push_back(call_signature(by, callback, result, end.next).to_value());
      if (!m.embed.chain.empty()) {
        auto rest = m.embed.chain;
        signature next = std::move(rest.back());
        rest.pop_back();
        list after;
        for (const auto& each : rest) after.push_back(each.to_value());
        if (!after.empty()) next.options.set("chain", std::move(after));
        children.push_back(call_signature(by, std::move(next), result, end.next).to_value());
      }
    } catch (const std::exception&) {
      // What follows cannot be called: Celery has the call itself fail then.
      o.what = outcome::kind::failure;
      o.error = describe(std::current_exception());
      end.next = {};
      children = {};
    }
  }
  const bool good = o.what == outcome::kind::success;
  if (o.what == outcome::kind::failure && !m.embed.errbacks.empty())
    call_errbacks(caller_of(f), m.embed.errbacks, m.id, end.next);
  auto meta = meta_of(f, good                               ? "SUCCESS"
                         : o.what == outcome::kind::revoked ? "REVOKED"
                                                            : "FAILURE");
  meta.result = good ? std::move(o.result) : o.error.to_value();
  meta.children = std::move(children);
  if (!good) {
    meta.traceback = o.error.qualified_name() + ": " + o.error.message();
    for (const auto& never : m.embed.chain) abandon(f, never, meta, end);
  }
  if (m.embed.chord && m.group)
    end.parts.push_back({.group = *m.group,
                         .task_id = m.id,
                         .index = m.group_index,
                         .body = *m.embed.chord,
                         .state = meta.status,
                         .result = meta.result});
  if (!f.ignores_result) end.result = stored(meta, f.result_expires);
  return end;
}

void end_chord(const call_facts& f, const signature& body, const std::vector<std::string>& entries,
               const std::optional<result_tree>& shape, call_end& end) {
  std::vector<value> parts;
  for (const auto& text : entries) parts.push_back(parse_json(text));
  list in_order;
  std::map<std::string, const value*> by_id;
  std::string broken;
  for (const value& part : parts) {  // [1, task id, state, result]
    const list& fields = *part.get_if<list>();
    const auto id = from_value<std::string>(fields.at(1));
    by_id[id] = &fields.at(3);
    in_order.push_back(fields.at(3));
    if (from_value<std::string>(fields.at(2)) != "SUCCESS" && broken.empty())
      broken = "Dependency " + id + " raised " + repr_of(exception_info::from_value(fields.at(3)));
  }
  auto by = caller_of(f);
  if (const value* root = body.options.find("root_id"); root && root->is<std::string>())
    by.root_id = *root->get_if<std::string>();
  if (const value* parent = body.options.find("parent_id"); parent && parent->is<std::string>())
    by.parent_id = *parent->get_if<std::string>();
  exception_info error;
  if (broken.empty()) {
    try {
      const value all = shape ? put_together(*shape, by_id) : value(std::move(in_order));
      auto start = end.next;
      call_signature(by, body, just(all), start);
      end.next = std::move(start);
      return;
    } catch (const std::exception& e) {
      error = chord_failed(std::string("Callback error: ") + e.what());
    }
  } else {
    error = chord_failed(broken);
  }
  result_meta meta;
  meta.status = "FAILURE";
  meta.result = error.to_value();
  meta.traceback = error.qualified_name() + ": " + error.message();
  meta.date_done = datetime_of(wall_clock_now());
  meta.parent_id = by.parent_id;
  auto never = body;
  try {
    freeze(never);
    for (const auto& first : beginnings_of(never))
      call_errbacks(by, errbacks_of(first), tasks_of(first).front(), end.next);
  } catch (const std::exception& e) {
    std::cerr << "plait worker: a chord's body is no workflow: " << e.what() << '\n';
  }
  abandon(f, std::move(never), meta, end);
}

call_end replacement_of(const call_facts& f, outcome o) {
  const auto& m = f.message;
  call_end end;
  try {
    auto s = *std::move(o.in_place);
    take_place(s, m);
    call_signature(caller_of(f), std::move(s), {}, end.next);
  } catch (const std::exception&) {
    o.what = outcome::kind::failure;
    o.error = describe(std::current_exception());
    return end_of(f, std::move(o));
  }
  return end;
}

call_end retry_of(const call_facts& f, const outcome& o, duration delay) {
  call_end end;
  auto again = f.message;
  again.retries += 1;
  again.parent_id = f.message.id;
  again.headers.erase("redelivered");
  again.eta = datetime_after(delay);
  end.next.parcels.push_back(parcel_of(again, f.queue, f.priority));
  if (!f.ignores_result) {
    auto meta = meta_of(f, "RETRY");
    auto why = o.error;
    if (why.type.empty())
      why = {
          .type = "Retry", .module = "celery.exceptions", .arguments = {"the task asked for it"}};
    meta.result = why.to_value();
    end.result = stored(meta, f.result_expires);
  }
  return end;
}

}  // namespace plait::celery::detail

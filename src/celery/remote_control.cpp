// What a worker answers to `celery inspect` and `celery control`.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <stdexcept>

#include "celery/client.hpp"
#include "celery/wall_clock.hpp"
#include "celery/worker_engine.hpp"
#include "plait/core/version.hpp"

namespace plait::celery::detail {

task<> worker_engine::listen() {
  for (;;) {
    std::string failed;
    try {
      const auto text = co_await transport_.control().next_request();
      const auto r = decode_request(decode_envelope(text));
      const double now = static_cast<double>(wall_clock_now()) / 1000;
      if (!r.is_for(settings_.options.hostname) ||
          (r.expires && *r.expires > 0 && *r.expires < now))
        continue;
      clock_ = std::max(clock_, r.clock) + 1;
      const value said = answer(r);
      if (r.reply_to && !r.ticket.empty()) {
        control_reply reply;
        reply.ticket = r.ticket;
        reply.node = settings_.options.hostname;
        reply.answer = said;
        reply.clock = clock_;
        auto letter = encode_envelope(encode_reply(reply, *r.reply_to));
        co_await transport_.control().reply(r.reply_to->exchange, r.reply_to->routing_key,
                                            std::move(letter));
      }
    } catch (const cancelled_error&) {
      throw;
    } catch (const std::exception& e) {  // nothing that somebody sends makes a worker deaf
      failed = e.what();
    }
    if (failed.empty()) continue;
    std::cerr << "plait worker: remote control: " << failed << '\n';
    co_await sleep(std::chrono::seconds(1));
  }
}

namespace {

std::optional<std::string> text_in(const dict& arguments, const char* name) {
  const value* const given = arguments.find(name);
  const auto* const text = given != nullptr ? given->get_if<std::string>() : nullptr;
  return text != nullptr ? std::optional(*text) : std::nullopt;
}

// One text, or a list of them.
std::vector<std::string> texts_in(const dict& arguments, const char* name) {
  std::vector<std::string> all;
  const value* const given = arguments.find(name);
  if (given == nullptr) return all;
  if (const auto* one = given->get_if<std::string>()) all.push_back(*one);
  if (const auto* several = given->get_if<list>())
    for (const auto& each : *several)
      if (const auto* text = each.get_if<std::string>()) all.push_back(*text);
  return all;
}

// Nothing and 0 are no limit. Throws std::invalid_argument for what is no number of seconds.
duration seconds_in(const dict& arguments, const char* name) {
  const value* const given = arguments.find(name);
  if (given == nullptr || given->is_null()) return duration::zero();
  double seconds = -1;
  if (const auto* whole = given->get_if<std::int64_t>())
    seconds = static_cast<double>(*whole);
  else if (const auto* real = given->get_if<double>())
    seconds = *real;
  constexpr double longest = 365.0 * 24 * 3600;
  if (!(seconds >= 0 && seconds <= longest))
    throw std::invalid_argument(std::string(name) + " is a number of seconds, at most a year");
  return std::chrono::duration_cast<duration>(float_seconds(seconds));
}

std::string joined(const std::vector<std::string>& all) {
  std::string text;
  for (const auto& each : all) text += (text.empty() ? "" : ", ") + each;
  return text;
}

// As kombu describes a queue of the default, direct exchange.
dict described(const std::string& queue) {
  return {{"name", queue},
          {"exchange", dict{{"name", ""},
                            {"type", "direct"},
                            {"arguments", value()},
                            {"durable", true},
                            {"passive", false},
                            {"auto_delete", false},
                            {"delivery_mode", value()},
                            {"no_declare", false}}},
          {"routing_key", queue},
          {"queue_arguments", value()},
          {"binding_arguments", value()},
          {"consumer_arguments", value()},
          {"durable", true},
          {"exclusive", false},
          {"auto_delete", false},
          {"no_ack", false},
          {"alias", value()},
          {"bindings", list()},
          {"no_declare", value()},
          {"expires", value()},
          {"message_ttl", value()},
          {"max_length", value()},
          {"max_length_bytes", value()},
          {"max_priority", value()}};
}

}  // namespace

// The methods that change something, then those that tell. What Celery knows under two names has both.
value worker_engine::answer(const control_request& r) {
  using answering = value (*)(worker_engine&, const dict&);
  static const std::map<std::string_view, answering> known = {
      {"shutdown",
       [](worker_engine& w, const dict&) -> value {
         if (!w.stopping_) w.shutdown();
         return dict{{"ok", "shutting down"}};
       }},
      {"revoke", [](worker_engine& w, const dict& a) -> value { return w.revoke(a); }},
      {"terminate",
       [](worker_engine& w, const dict& a) -> value {
         dict arguments = a;
         arguments.set("terminate", true);
         return w.revoke(arguments);
       }},
      {"rate_limit", [](worker_engine& w, const dict& a) -> value { return w.change_rate(a); }},
      {"time_limit", [](worker_engine& w, const dict& a) -> value { return w.change_limits(a); }},
      {"add_consumer", [](worker_engine& w, const dict& a) -> value { return w.add_queue(a); }},
      {"cancel_consumer", [](worker_engine& w, const dict& a) -> value { return w.drop_queue(a); }},
      {"enable_events", [](worker_engine& w, const dict&) -> value { return w.tell_calls(true); }},
      {"disable_events",
       [](worker_engine& w, const dict&) -> value { return w.tell_calls(false); }},
      {"hello", [](worker_engine& w, const dict& a) -> value { return w.greet(a); }},
      {"ping",
       [](worker_engine&, const dict&) -> value {
         return dict{{"ok", "pong"}};
       }},
      {"active", [](worker_engine& w, const dict&) -> value { return w.jobs_at(phase::running); }},
      {"reserved", [](worker_engine& w, const dict&) -> value { return w.jobs_at(phase::held); }},
      {"scheduled", [](worker_engine& w, const dict&) -> value { return w.scheduled(); }},
      {"query_task", [](worker_engine& w, const dict& a) -> value { return w.query(a); }},
      {"registered",
       [](worker_engine& w, const dict&) -> value {
         list names;
         for (const auto& [name, entry] : w.tasks_) names.push_back(name);
         return names;
       }},
      {"revoked",
       [](worker_engine& w, const dict&) -> value {
         list ids;
         for (auto& id : w.revoked_.all(event_loop::current().now())) ids.push_back(std::move(id));
         return ids;
       }},
      {"active_queues",
       [](worker_engine& w, const dict&) -> value {
         list queues;
         for (const auto& name : w.queues_) queues.push_back(described(name));
         return queues;
       }},
      {"stats", [](worker_engine& w, const dict&) -> value { return w.statistics(); }},
      {"conf", [](worker_engine& w, const dict&) -> value { return w.settings_.facts; }},
      {"report", [](worker_engine& w, const dict&) -> value { return w.report(); }},
      {"clock",
       [](worker_engine& w, const dict&) -> value {
         return dict{{"clock", w.clock_}};
       }},
  };
  const bool old_name = r.method.starts_with("dump_");
  const std::string_view method = r.method == "dump_schedule" ? "scheduled"
                                  : r.method == "dump_tasks"
                                      ? "registered"
                                      : std::string_view(r.method).substr(old_name ? 5 : 0);
  const auto found = known.find(method);
  if (method.starts_with("pool_") || method == "autoscale")
    return dict{{"error", "the pool keeps the size that the worker was started with"}};
  if (found == known.end()) return dict{{"error", "unknown control method: " + r.method}};
  try {
    return found->second(*this, r.arguments);
  } catch (const std::invalid_argument& e) {
    return dict{{"error", e.what()}};
  }
}

dict worker_engine::tell_calls(bool wanted) {
  const std::string changed = events_.set_calls(wanted) ? "task events " : "task events already ";
  return {{"ok", changed + (wanted ? "enabled" : "disabled")}};
}

// What a worker that starts asks of those that are there, and tells them.
dict worker_engine::greet(const dict& arguments) {
  const time_point now = event_loop::current().now();
  if (const value* theirs = arguments.find("revoked"))
    if (const auto* ids = theirs->get_if<dict>())
      for (const auto& [id, when] : *ids) revoked_.insert(id, now);
  dict ours;
  const double seconds = static_cast<double>(wall_clock_now()) / 1000;
  for (const auto& id : revoked_.all(now)) ours.set(id, list{seconds, id});
  return {{"revoked", std::move(ours)}, {"clock", clock_}};
}

dict worker_engine::statistics() const {
  dict total;
  for (const auto& [task, times] : done_by_task_) total.set(task, times);
  dict pool{{"max-concurrency", settings_.options.concurrency},
            {"max-tasks-per-child", settings_.options.max_tasks_per_child}};
  if (engines_.processes != nullptr) {
    list pids;
    for (const int pid : engines_.processes->worker_pids()) pids.push_back(pid);
    pool.set("processes", std::move(pids));
  }
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  const auto up =
      std::chrono::duration_cast<std::chrono::seconds>(event_loop::current().now() - started_);
  return {{"pid", ::getpid()},
          {"clock", std::to_string(clock_)},
          {"uptime", static_cast<std::int64_t>(up.count())},
          {"total", std::move(total)},
          {"prefetch_count", most_taken(settings_.options.concurrency)},
          {"pool", std::move(pool)},
          {"rusage", dict{{"utime", seconds(used.ru_utime)},
                          {"stime", seconds(used.ru_stime)},
                          {"maxrss", static_cast<std::int64_t>(used.ru_maxrss)}}}};
}

dict worker_engine::report() const {
  std::string text = "software -> plait:" + std::string(plait::version) +
                     " (Celery's message protocol 2)\nplatform -> system:Linux\n\n";
  for (const auto& [name, setting] : settings_.facts) text += name + ": " + repr(setting) + '\n';
  return {{"ok", std::move(text)}};
}

list worker_engine::scheduled() const {
  list all;
  for (auto& request : jobs_at(phase::held)) {
    const value* eta = request.find("eta");
    if (eta == nullptr || eta->is_null()) continue;
    all.push_back(dict{{"eta", *eta}, {"priority", 6}, {"request", request}});
  }
  return all;
}

dict worker_engine::query(const dict& arguments) const {
  dict all;
  for (const auto& id : texts_in(arguments, "ids"))
    for (const auto& [tag, j] : jobs_)
      if (j->message.id == id)
        all.set(id, list{j->at == phase::running ? "active" : "reserved", told_of(*j)});
  return all;
}

list worker_engine::jobs_at(phase p) const {
  list all;
  for (const auto& [tag, j] : jobs_)
    if (j->at == p) all.push_back(told_of(*j));
  return all;
}

dict worker_engine::told_of(const job& j) const {
  const auto& m = j.message;
  return {{"id", m.id},
          {"name", m.task},
          {"type", m.task},
          {"args", m.args},
          {"kwargs", m.kwargs},
          {"hostname", settings_.options.hostname},
          {"time_start", j.at == phase::running ? value(j.began) : value()},
          {"acknowledged", j.acknowledged},
          {"delivery_info", dict{{"exchange", ""},
                                 {"routing_key", j.queue},
                                 {"priority", j.priority},
                                 {"redelivered", j.deliveries > 1}}},
          {"worker_pid", ::getpid()},
          {"eta", m.eta ? value(*m.eta) : value()}};
}

dict worker_engine::add_queue(const dict& arguments) {
  const auto name = text_in(arguments, "queue");
  if (!name || name->empty()) throw std::invalid_argument("add_consumer takes the name of a queue");
  if (std::find(queues_.begin(), queues_.end(), *name) == queues_.end()) {
    queues_.push_back(*name);
    reserve_anew();
  }
  return {{"ok", "add consumer " + *name}};
}

// What was taken from it is done.
dict worker_engine::drop_queue(const dict& arguments) {
  const auto name = text_in(arguments, "queue");
  if (!name) throw std::invalid_argument("cancel_consumer takes the name of a queue");
  if (std::erase(queues_, *name) != 0) reserve_anew();
  return {{"ok", "no longer consuming from " + *name}};
}

void worker_engine::reserve_anew() {
  ++round_;
  room_.set();
  for (auto& one : reserving_)
    if (one.valid()) one.cancel();
}

dict worker_engine::change_limits(const dict& arguments) {
  const auto name = text_in(arguments, "task_name");
  if (!name || find_task(*name) == nullptr) return {{"error", "unknown task"}};
  time_limits_[*name] = {seconds_in(arguments, "soft"), seconds_in(arguments, "hard")};
  return {{"ok", "time limits set successfully"}};
}

dict worker_engine::change_rate(const dict& arguments) {
  const value* const task = arguments.find("task_name");
  const value* const rate = arguments.find("rate_limit");
  const auto* const name = task != nullptr ? task->get_if<std::string>() : nullptr;
  if (name == nullptr || find_task(*name) == nullptr) return dict{{"error", "unknown task"}};
  std::string text;
  if (rate != nullptr && !rate->is_null()) {
    const auto* const given = rate->get_if<std::string>();
    text = given != nullptr ? *given : repr(*rate);
  }
  duration between = duration::zero();
  try {
    between = time_between(text);
  } catch (const std::invalid_argument& e) {
    return dict{{"error", std::string("Invalid rate limit string: ") + e.what()}};
  }
  rates_.set(*name, between);
  return dict{{"ok", between > duration::zero() ? "new rate limit set successfully"
                                                : "rate limit disabled successfully"}};
}

// Of those that run, terminate ends the process, by SIGKILL whatever signal is named: a call that does
// not end would keep its slot.
dict worker_engine::revoke(const dict& arguments) {
  const auto ids = texts_in(arguments, "task_id");
  const value* const asked = arguments.find("terminate");
  const bool terminate = asked != nullptr && *asked == value(true);
  std::vector<std::string> known;
  for (const auto& id : ids) {
    revoked_.insert(id, event_loop::current().now());
    for (const auto& [tag, j] : jobs_) {
      if (j->message.id != id) continue;
      known.push_back(id);
      if (j->at != phase::running || !terminate || !j->call.valid()) continue;
      j->terminated = true;
      if (j->pool != nullptr) {
        j->pool->kill(j->call);
      } else if (!j->in_process) {
        j->call.cancel();
      }
    }
  }
  if (!terminate) return {{"ok", "tasks " + joined(ids) + " flagged as revoked"}};
  return {{"ok", "terminate: " + (known.empty() ? "tasks unknown" : joined(known))}};
}

}  // namespace plait::celery::detail

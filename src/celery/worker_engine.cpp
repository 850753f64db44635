#include "celery/worker_engine.hpp"

#include <algorithm>
#include <iostream>

#include "celery/client.hpp"
#include "celery/wall_clock.hpp"
#include "celery/wire/iso8601.hpp"

namespace plait::celery::detail {
namespace {

template <class T>
std::vector<T> just(T one) {
  std::vector<T> all;
  all.push_back(std::move(one));
  return all;
}

outcome failure(exception_info error) {
  outcome o;
  o.error = std::move(error);
  return o;
}
outcome revoked(const std::string& why) {
  outcome o;
  o.what = outcome::kind::revoked;
  o.error = task_revoked(why);
  return o;
}

exception_info decode_failure(const std::string& why) {
  return {.type = "DecodeError", .module = "kombu.exceptions", .arguments = {why}};
}

}  // namespace

worker_engine::worker_engine(const task_table& tasks, transport& broker, result_backend& results,
                             engines where, settings s)
    : tasks_(tasks),
      builtins_(builtin_tasks(tasks)),
      transport_(broker),
      broker_(broker.broker()),
      results_(results),
      engines_(where),
      settings_(std::move(s)),
      slots_(settings_.options.concurrency),
      queues_(settings_.options.queues),
      events_(broker.control(), settings_.options.hostname,
              settings_.options.events ? event_sender::interest::calls
                                       : event_sender::interest::nobody) {
  for (const auto& [name, entry] : tasks)
    rates_.set(name, time_between(entry->options().rate_limit));
}

task<> worker_engine::run() {
  started_ = event_loop::current().now();
  const auto renewing = spawn(renew());
  const auto listening = spawn(listen());
  const auto telling = spawn(events_.run([this] {
    std::size_t active = 0;
    for (const auto& [tag, j] : jobs_) active += j->at == phase::running ? 1 : 0;
    return event_sender::load{active, counts_.succeeded + counts_.failed};
  }));
  std::exception_ptr failed;
  try {
    co_await with_task_group([this](task_group& calls) { return consume(calls); });
  } catch (...) {
    failed = std::current_exception();
  }
  for (const auto* background : {&renewing, &listening, &telling}) {
    background->cancel();
    try {
      co_await *background;
    } catch (const cancelled_error&) {
    }
  }
  {
    const std::lock_guard lock(open_->mutex);
    open_->is_open = false;
  }
  co_await events_.say_goodbye();
  if (failed != nullptr) std::rethrow_exception(failed);
}

void worker_engine::shutdown() {
  if (stopping_) {
    cold_ = true;
    if (engines_.processes != nullptr) engines_.processes->terminate_workers();
    for (const auto& [tag, j] : jobs_)
      if (j->call.valid()) j->call.cancel();
  }
  stopping_ = true;
  stop_.set();
  room_.set();
  for (auto& one : reserving_)
    if (one.valid()) one.cancel();
}

// While messages are plenty, two requests for them are under way: the broker looks for the next while
// what it gave before runs.
task<> worker_engine::consume(task_group& group) {
  group.start(&worker_engine::take_in, this, &group, std::size_t{1});
  co_await take_in(&group, 0);
}

task<> worker_engine::take_in(task_group* group, std::size_t nth) {
  const std::size_t most = most_taken(settings_.options.concurrency);
  while (!stopping_) {
    const std::size_t expected = taken_ + asked_;
    if (expected >= most || queues_.empty() || (nth > 0 && !are_plenty_)) {
      room_.clear();
      co_await room_.wait();
      continue;
    }
    const std::size_t wanted = most - expected;
    std::vector<delivery> got;
    std::string failed;
    const std::uint64_t round = round_;
    bool is_stopped = false;
    asked_ += wanted;
    try {
      reserving_[nth] = spawn(broker_.reserve(queues_, wanted, settings_.options.lease));
      got = co_await reserving_[nth];
    } catch (const cancelled_error&) {
      is_stopped = true;
    } catch (const std::exception& e) {
      failed = e.what();
    }
    asked_ -= wanted;
    reserving_[nth] = {};
    if (is_stopped) {
      if (stopping_) co_return;
      const auto of_this_task = co_await current_stop_token();
      if (round == round_ || of_this_task.stop_requested()) throw cancelled_error();
      room_.set();  // what this one had asked for is free
      continue;     // from other queues
    }
    are_plenty_ = got.size() == wanted && broker_.may_have_more();
    for (auto& d : got) {
      ++taken_;
      group->start(&worker_engine::handle, this, std::move(d));
    }
    // For the other: where the second fails, the first has to ask, and to say why it cannot.
    if (failed.empty() || nth > 0) {
      room_.set();
    } else {
      std::cerr << "plait worker: " << failed << "; once more in a second\n";
      static_cast<void>(co_await move_on_after(std::chrono::seconds(1), stop_.wait()));
    }
  }
}

task<> worker_engine::renew() {
  for (;;) {
    co_await sleep(settings_.options.lease / 3);
    std::vector<std::string> tags;
    for (const auto& [tag, j] : jobs_) tags.push_back(tag);
    if (tags.empty()) continue;
    try {
      const auto lost = co_await broker_.renew(std::move(tags), settings_.options.lease);
      counts_.leases_lost += lost.size();
    } catch (const transport_error& e) {
      std::cerr << "plait worker: leases were not renewed: " << e.what() << '\n';
    }
  }
}

task<> worker_engine::handle(delivery d) {
  place taken(*this);
  std::optional<task_message> m;
  std::string why;
  std::optional<std::string> id;
  try {
    m = decode_task(decode_envelope(d.envelope));
  } catch (const decode_error& e) {
    why = e.what();
    id = e.task_id();
  } catch (const std::exception& e) {
    why = e.what();
  }
  try {
    if (!m) {
      co_await refuse(std::move(d), "malformed: " + why, std::move(id), decode_failure(why));
    } else {
      co_await handle_task(std::move(d), *std::move(m), taken);
    }
  } catch (const cancelled_error&) {
    throw;
  } catch (const std::exception& e) {
    // The lease ends by itself and the message comes back, max_deliveries times.
    std::cerr << "plait worker: a call was not ended: " << e.what() << '\n';
  }
}

// To the dead list, and where somebody may wait for it a failure.
task<> worker_engine::refuse(delivery d, std::string why, std::optional<std::string> id,
                             exception_info error) {
  ++counts_.buried;
  call_end end;
  if (id) {
    result_meta meta;
    meta.task_id = *id;
    meta.status = "FAILURE";
    meta.result = error.to_value();
    meta.date_done = datetime_of(wall_clock_now());
    end.result = stored(meta, settings_.result_expires);
  }
  std::cerr << "plait worker: a message of " << d.queue << " is dead: " << why << '\n';
  co_await finish(std::move(d.tag), std::move(end), std::move(why));
}

call_facts worker_engine::facts_of(const task_message& m, const delivery& d,
                                   const task_entry* entry) const {
  const bool by_task = entry != nullptr && entry->options().ignore_result;
  return {.message = m,
          .queue = d.queue,
          .priority = d.priority,
          .ignores_result = m.ignore_result.value_or(by_task),
          .result_expires = settings_.result_expires,
          .tasks = tasks_,
          .default_queue = settings_.default_queue};
}

// What has a final state is not run again: it succeeded before the worker that ran it could say so
// to the broker, or somebody has revoked it.
task<bool> worker_engine::is_settled(const task_message& m, const delivery& d, look when) {
  if (revoked_.contains(m.id)) {
    co_await conclude(d, m, nullptr, revoked("revoked"), false);
    co_return true;
  }
  if (m.expires && milliseconds_of(*m.expires) <= wall_clock_now()) {
    co_await conclude(d, m, nullptr, revoked("expired"), false);
    co_return true;
  }
  std::optional<std::string> kept = d.result;
  if (when == look::now || d.looked_up != m.id || !broker_.keeps(results_))
    kept = co_await results_.get(m.id);
  if (!kept) co_return false;
  std::string status;
  try {
    status = decode_result(std::string_view(*kept)).status;
  } catch (const decode_error&) {
    co_return false;
  }
  if (status == "REVOKED") {  // whoever waits for what follows on it hears of that too
    co_await conclude(d, m, nullptr, revoked("revoked"), false);
    co_return true;
  }
  const value* const again = m.headers.find("redelivered");
  const bool first = d.deliveries == 1 && !(again != nullptr && *again == value(true));
  if (status != "SUCCESS" || first) co_return false;
  call_end nothing;
  co_await finish(d.tag, std::move(nothing));
  co_return true;
}

task<> worker_engine::hold(const task_message& m) {
  while (m.eta && !stopping_) {
    const auto left = milliseconds_of(*m.eta) - wall_clock_now();
    if (left <= 0) co_return;
    static_cast<void>(co_await move_on_after(std::chrono::milliseconds(left), stop_.wait()));
  }
}

task<> worker_engine::wait_for_turn(const std::string& task) {
  const time_point now = event_loop::current().now(), turn = rates_.next_turn(task, now);
  if (turn > now) static_cast<void>(co_await move_on_after(turn - now, stop_.wait()));
}

task<> worker_engine::handle_task(delivery d, task_message m, place& taken) {
  job j;
  j.tag = d.tag;
  j.place = &taken;
  j.queue = d.queue;
  j.priority = d.priority;
  j.deliveries = d.deliveries;
  j.message = std::move(m);
  // A message that went back may be here once more under the same tag before this one is gone.
  const struct listed {
    job_list& jobs;
    const job& own;
    ~listed() {
      if (const auto at = jobs.find(own.tag); at != jobs.end() && at->second == &own)
        jobs.erase(at);
    }
  } entry_of_list{jobs_, j};
  jobs_[j.tag] = &j;

  if (events_.wants_calls()) {
    const auto& now = j.message;
    events_.tell("task-received",
                 dict{{"uuid", now.id},
                      {"name", now.task},
                      {"args", now.argsrepr.empty() ? repr_arguments(now.args) : now.argsrepr},
                      {"kwargs", now.kwargsrepr.empty() ? repr(now.kwargs, 1000) : now.kwargsrepr},
                      {"root_id", now.root_id},
                      {"parent_id", now.parent_id ? value(*now.parent_id) : value()},
                      {"retries", static_cast<std::int64_t>(now.retries)},
                      {"eta", now.eta ? value(to_iso(*now.eta)) : value()},
                      {"expires", now.expires ? value(to_iso(*now.expires)) : value()}});
  }
  const task_entry* const found = find_task(j.message.task);
  if (found == nullptr) {
    co_await conclude(d, j.message, nullptr, failure(not_registered(j.message.task)), false);
    co_return;
  }
  const task_entry& entry = *found;
  if (d.deliveries > settings_.options.max_deliveries) {
    const std::string why = "handed out " + std::to_string(d.deliveries - 1) +
                            " times to workers that did not live to end it";
    co_await bury(std::move(d), j.message, &entry, why, worker_lost(why));
    co_return;
  }
  const time_point reserved = event_loop::current().now();
  if (j.message.eta && milliseconds_of(*j.message.eta) > wall_clock_now()) {
    taken.leave();  // what only waits here keeps nobody else's place
    co_await hold(j.message);
    taken.take_again();
  }
  if (!stopping_) co_await wait_for_turn(j.message.task);
  if (!stopping_) {
    // Asked while others run: then a slot is never idle for a look into the store.
    // What the broker saw when it reserved is old news behind an eta or a limit of the rate.
    const time_point asked = event_loop::current().now();
    const bool waited = asked - reserved > std::chrono::seconds(1);
    if (co_await is_settled(j.message, d, waited ? look::now : look::when_reserved)) co_return;
    auto slot = co_await slots_.acquire();
    if (!stopping_) {
      const bool is_old_news = event_loop::current().now() - asked > std::chrono::seconds(1);
      const bool ask_again = is_old_news || j.message.expires || revoked_.contains(j.message.id);
      if (ask_again) {
        const bool settled = co_await is_settled(j.message, d, look::now);
        if (settled) co_return;
      }
      if (!stopping_) {
        co_await run_call(std::move(d), j, entry, std::move(slot));
        co_return;
      }
    }
  }
  co_await broker_.restore(just(j.tag), broker::hand_out::does_not_count);
}

// Puts another pool in the place of one that can run nothing more, at most once a second.
task<> worker_engine::replace_pool(process_pool_executor* broken) {
  const auto alone = co_await replacing_.acquire();
  if (engines_.processes != broken || !settings_.new_processes) co_return;
  auto& loop = event_loop::current();
  if (const time_point now = loop.now(); now < next_pool_)
    static_cast<void>(co_await move_on_after(next_pool_ - now, stop_.wait()));
  if (stopping_) co_return;
  next_pool_ = loop.now() + std::chrono::seconds(1);
  // It is about to go, and what it ran has ended.
  for (const auto& [tag, j] : jobs_)
    if (j->pool == broken) j->pool = nullptr;
  try {
    engines_.processes = settings_.new_processes();
    std::cerr << "plait worker: the process pool was replaced\n";
  } catch (const std::exception& e) {
    std::cerr << "plait worker: no new process pool: " << e.what() << '\n';
  }
}

task<> worker_engine::run_call(delivery d, job& j, const task_entry& entry,
                               semaphore::permit slot) {
  const bool early = entry.options().acks_early;
  if (early) {
    call_end nothing;
    co_await finish(d.tag, std::move(nothing));
    j.acknowledged = true;
  }
  if (entry.options().track_started) {
    result_meta meta;
    meta.task_id = j.message.id;
    meta.status = "STARTED";
    meta.result = dict{{"hostname", settings_.options.hostname}};
    co_await results_.store(stored(meta, settings_.result_expires));
  }
  if (cold_ && !early) {
    co_await broker_.restore(just(d.tag), broker::hand_out::does_not_count);
    co_return;
  }
  outcome o;
  std::exception_ptr lost;
  process_pool_executor* const pool = engines_.processes;
  std::string broken;
  try {
    o = co_await call(entry, j, d);
  } catch (const broken_executor& e) {
    broken = e.what();
    o = failure(worker_lost(broken));
  } catch (const worker_crashed& e) {
    ++counts_.crashed;
    lost = std::current_exception();
    o = failure(worker_lost(e.what()));
  } catch (const task_killed&) {
    lost = std::current_exception();
    o = revoked("terminated");
  } catch (const cancelled_error&) {
    lost = std::current_exception();
    o = revoked("terminated");
  } catch (const task_timeout&) {
    const auto hard = std::chrono::duration<double>(limits_of(j.message, entry).hard).count();
    const double ran = static_cast<double>(wall_clock_now()) / 1000 - j.began;
    o = failure(hard > 0 && ran >= hard ? time_limit_exceeded(hard) : soft_time_limit_exceeded());
  } catch (const timeout_error&) {
    o = failure(soft_time_limit_exceeded());
  } catch (...) {
    o = failure(describe(std::current_exception()));
  }
  co_await j.states->close();
  if (!broken.empty() && j.in_process) {
    // The call has not begun, and nothing is wrong with it.
    std::cerr << "plait worker: the process pool is broken: " << broken << '\n';
    if (!early) co_await broker_.restore(just(d.tag), broker::hand_out::does_not_count);
    co_await replace_pool(pool);
    if (!early) co_return;
  }
  slot.release();  // the next call runs while the end of this one travels
  if (lost != nullptr && !early) {
    const bool crashed = o.what == outcome::kind::failure;
    if (cold_) {
      co_await broker_.restore(just(d.tag), broker::hand_out::does_not_count);
      co_return;
    }
    if (crashed && d.deliveries < settings_.options.max_deliveries) {
      co_await broker_.restore(just(d.tag), broker::hand_out::counts);
      co_return;
    }
    if (crashed) {
      const std::string why = o.error.message();
      co_await bury(std::move(d), j.message, &entry, why, o.error);
      co_return;
    }
  }
  co_await conclude(std::move(d), j.message, &entry, std::move(o), early);
}

worker_engine::limits worker_engine::limits_of(const task_message& m,
                                               const task_entry& entry) const {
  limits l{entry.options().soft_time_limit, entry.options().time_limit};
  if (const auto set = time_limits_.find(entry.name()); set != time_limits_.end()) l = set->second;
  if (m.limits.soft) l.soft = std::chrono::duration_cast<duration>(*m.limits.soft);
  if (m.limits.hard) l.hard = std::chrono::duration_cast<duration>(*m.limits.hard);
  return l;
}

task<outcome> worker_engine::call(const task_entry& entry, job& j, const delivery& d) {
  const auto& m = j.message;
  j.states = std::make_shared<told_states>(results_);
  call_order order;
  {
    invocation i;
    try {
      i.args = entry.bind(m.args, m.kwargs);
    } catch (const type_error&) {
      co_return failure(describe(std::current_exception()));
    }
    i.facts = {.id = m.id,
               .task = m.task,
               .root_id = m.root_id,
               .parent_id = m.parent_id,
               .group = m.group,
               .retries = m.retries,
               .deliveries = d.deliveries,
               .headers = m.headers};
    order.invocation = encode_invocation(i);
    order.id = m.id;
  }
  const auto [soft, hard] = limits_of(m, entry);
  const auto none = duration::zero();
  j.in_process = entry.runs_in_process(engines_);
  j.pool = j.in_process ? engines_.processes : nullptr;
  if (hard > none) order.limits.timeout = hard;
  if (soft > none && (hard <= none || soft < hard)) {
    // Asked at the soft limit, killed at the hard one, or after a day.
    order.limits.timeout = hard > none ? hard : soft + std::chrono::hours(24);
    order.limits.stop_first = order.limits.timeout - soft;
  }
  auto& loop = event_loop::current();
  order.update = [open = open_, states = j.states, &loop, id = m.id,
                  expires = settings_.result_expires](std::string name, value meta) {
    result_meta r;
    r.task_id = id;
    r.status = std::move(name);
    r.result = std::move(meta);
    stored_result s = stored(r, expires);
    const std::lock_guard lock(open->mutex);
    if (open->is_open)
      static_cast<void>(loop.submit([states, s]() mutable { states->tell(std::move(s)); }));
  };
  j.at = phase::running;
  j.began = static_cast<double>(wall_clock_now()) / 1000;
  if (events_.wants_calls()) events_.tell("task-started", dict{{"uuid", m.id}});
  j.call = entry.start(engines_, std::move(order));
  // A thread cannot be killed, nor a coroutine: both are asked to stop at the first of the limits. What
  // goes on and returns all the same has succeeded.
  const bool is_soft = soft > none && (hard <= none || soft < hard);
  const duration at_most = is_soft ? soft : hard;
  if (j.in_process || at_most <= none) co_return read_reply(co_await j.call);
  auto text = co_await move_on_after(at_most, j.call);
  if (text) co_return read_reply(*text);
  co_return failure(is_soft ? soft_time_limit_exceeded()
                            : time_limit_exceeded(std::chrono::duration<double>(hard).count()));
}

task<> worker_engine::conclude(delivery d, const task_message& m, const task_entry* entry,
                               outcome o, bool acknowledged) {
  const auto facts = facts_of(m, d, entry);
  const std::string tag = acknowledged ? std::string("0:") : d.tag;
  if (entry != nullptr && may_retry(o, m, entry->options())) {
    ++counts_.retried;
    tell_of_end(m, o, true);
    const double random = std::uniform_real_distribution<>()(random_);
    const auto delay = retry_delay(o, m, entry->options(), random);
    make_room(d.tag);
    co_await finish(tag, retry_of(facts, o, delay));
    co_return;
  }
  if (o.what == outcome::kind::retry)
    o = failure(max_retries_exceeded("Can't retry " + m.task + '[' + m.id + "]"));
  ++(o.what == outcome::kind::failure   ? counts_.failed
     : o.what == outcome::kind::revoked ? counts_.revoked
                                        : counts_.succeeded);
  if (o.what != outcome::kind::revoked && entry != nullptr) ++done_by_task_[m.task];
  tell_of_end(m, o, false);
  const bool replaced = o.what == outcome::kind::replaced;
  auto end = replaced ? replacement_of(facts, std::move(o)) : end_of(facts, std::move(o));
  co_await end_parts(facts, end);
  make_room(d.tag);
  co_await finish(tag, std::move(end));
}

// The next message is asked for in the same write that ends this one.
void worker_engine::make_room(const std::string& tag) {
  if (const auto found = jobs_.find(tag); found != jobs_.end()) found->second->place->leave();
}

void worker_engine::tell_of_end(const task_message& m, const outcome& o, bool retried) {
  if (!events_.wants_calls() || o.what == outcome::kind::replaced) return;
  dict fields{{"uuid", m.id}};
  if (o.what == outcome::kind::success) {
    double began = 0;
    for (const auto& [tag, j] : jobs_)
      if (j->message.id == m.id) began = j->began;
    const double now = static_cast<double>(wall_clock_now()) / 1000;
    fields.set("result", repr(o.result, 1000));
    fields.set("runtime", began > 0 ? now - began : 0.0);
    return events_.tell("task-succeeded", std::move(fields));
  }
  if (o.what == outcome::kind::revoked) {
    const bool expired = m.expires && milliseconds_of(*m.expires) <= wall_clock_now();
    fields.set("terminated", o.error.message() == "terminated");
    fields.set("signum", value());
    fields.set("expired", expired);
    return events_.tell("task-revoked", std::move(fields));
  }
  fields.set("exception", o.error.type + "(" + repr(o.error.message(), 1000) + ")");
  fields.set("traceback", o.error.qualified_name() + ": " + o.error.message());
  events_.tell(retried ? "task-retried" : "task-failed", std::move(fields));
}

task<> worker_engine::finish(std::string tag, call_end end, std::optional<std::string> bury) {
  for (auto& one : end.more) co_await results_.store(std::move(one));
  for (const auto& group : end.next.groups)
    co_await results_.save_group(group.id, encode_group(group), settings_.result_expires);
  for (const auto& chord : end.next.chords) co_await results_.begin_chord(chord.group, chord.size);
  ending e;
  e.tag = std::move(tag);
  e.then = std::move(end.next.parcels);
  e.bury_because = std::move(bury);
  if (end.result) {
    if (broker_.keeps(results_)) {
      e.result = std::move(end.result);
    } else {
      // What follows first: a result says that nothing of the call is left to be done.
      if (!e.then.empty()) co_await broker_.publish(std::exchange(e.then, {}));
      co_await results_.store(*std::move(end.result));
    }
  }
  co_await broker_.finish(just(std::move(e)));
  for (const auto& group : end.chords) co_await results_.close_chord(group);
}

}  // namespace plait::celery::detail

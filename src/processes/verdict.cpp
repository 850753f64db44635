// What a worker's death means for its calls, and many deaths for the pool. Runs on the manager.
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <typeinfo>

#include "processes/exception_wire.hpp"
#include "processes/process_engine.hpp"
#include "processes/reply_batch.hpp"
#include "processes/symbols.hpp"

namespace plait::detail {
namespace {

constexpr unsigned max_failed_starts = 3;
constexpr std::int64_t retry_pause_ns = 100'000'000;

std::string describe_status(int status) {
  if (WIFSIGNALED(status)) {
    const char* description = sigdescr_np(WTERMSIG(status));  // real-time signals have none
    return "was killed by signal " + std::to_string(WTERMSIG(status)) +
           (description != nullptr ? std::string(" (") + description + ")" : "");
  }
  return "exited with status " + std::to_string(WEXITSTATUS(status));
}

// What made a worker leave before its first call.
struct complaint {
  std::string type, text;
};
complaint complaint_of(const channel& shared) {
  char bytes[sizeof shared.complaint];
  std::copy_n(shared.complaint, sizeof bytes, bytes);  // C6
  decoder from(reinterpret_cast<const std::byte*>(bytes),
               std::min<std::size_t>(shared.complaint_size, sizeof bytes));
  try {
    throw_decoded(from);
  } catch (const remote_error& e) {
    return {e.type(), e.what()};
  } catch (const std::exception& e) {
    return {demangled(typeid(e).name()), e.what()};
  }
}

// What the worker's handler saw, if this is the death that it saw coming.
void add_crash_note(worker_crashed::verdict& v, const crash_note& note) {
  if (note.whole.load(std::memory_order_acquire) == 0 || note.signal != v.signal) return;
  if (note.has_address != 0) v.fault_address = note.address;
  v.stack_overflow = note.on_overflow != 0;
  std::uint64_t tokens[max_crash_frames];
  std::copy_n(note.tokens, max_crash_frames, tokens);  // C6: its own count is not believed
  v.frames = symbolise(tokens, std::min<std::size_t>(note.frames, max_crash_frames));
}

}  // namespace

bool process_engine::may_begin_again(remote_job& job) noexcept {
  call_limits* limits = job.limits_.get();
  if (limits == nullptr || limits->retries == 0 || limits->asked != 0 || out_of_patience_)
    return false;
  limits->seen_running = call_limits::never;
  --limits->retries;
  ++limits->attempt;
  return true;
}

bool process_engine::is_enclosed(seat& s) noexcept {
  if (!options_.sandbox || s.enclosed) return s.enclosed;
  descriptor none[max_sent];
  std::size_t count = 0;
  char byte;
  return s.enclosed = receive_packet(s.socket.get(), &byte, 1, none, &count, MSG_DONTWAIT) == 1;
}

void process_engine::bury(seat& s, int status, bool supervisor_died) {
  tee(s);
  s.errors = descriptor();
  hear_report(s);                  // C10: its last words
  for (bool more = true; more;) {  // C4: what was answered is delivered first
    reply_batch batch;
    {
      const std::lock_guard hold(mutex_);
      s.dead = true;
      more = harvest(s, batch);
      if (!more) harvest_rest(s, batch);
    }
    more |= batch.size() != 0;
    resolve(batch);
  }
  s.cause.reset();
  if (groups_ != nullptr) s.killed_for_memory = groups_->remove(s.number);
  std::vector<failure> failures;
  judge(s, status, supervisor_died, failures);
  reject_all(failures);
}

// Every call of a dead worker, oldest first. Unless its channel was spoilt there is at most one that
// had begun and has no answer.
void process_engine::judge(seat& s, int status, bool supervisor_died,
                           std::vector<failure>& failures) {
  std::vector<remote_job*> victims;
  remote_job* sentenced = nullptr;
  bool again = false, was_told_to_leave = false, enclosed = false, had_nothing_to_do = false;
  sentence why = sentence::none;
  const worker_life life = s.shared->life.load(std::memory_order_seq_cst);
  const std::uint32_t first_not_begun = s.shared->next.load(std::memory_order_relaxed);
  {
    wake_list wakes;
    const std::lock_guard hold(mutex_);
    had_nothing_to_do = s.placed == s.harvested.load(std::memory_order_relaxed);
    enclosed = is_enclosed(s);
    why = std::exchange(s.condemned, sentence::none);
    if (why == sentence::none && life == worker_life::overwritten) why = sentence::overwrote;
    for (std::uint32_t q = s.placed; q-- != s.harvested.load(std::memory_order_relaxed);) {
      remote_job* job = std::exchange(s.jobs[q % slot_count], nullptr);
      if (job == nullptr) continue;
      const bool is_sentenced =
          why != sentence::none && why != sentence::overwrote && q == s.condemned_call;
      const bool may_have_begun = enclosed && q == s.harvested.load(std::memory_order_relaxed);
      const bool is_queued =
          s.slot_of(q).state.load(std::memory_order_acquire) == slot_state::queued;
      const bool is_next_or_later =
          life == worker_life::overwritten && q - first_not_begun < slot_count;
      if ((is_queued || is_next_or_later) && !may_have_begun) {
        pending_.push_front(*job);  // C4, C8: never begun
      } else if (!is_sentenced && may_begin_again(*job)) {
        pending_.push_front(*job);
        again = true;
      } else {  // C4
        settle(*job);
        if (is_sentenced)
          sentenced = job;
        else
          victims.push_back(job);
      }
    }
    was_told_to_leave = s.state == seat::life::retiring;
    if (s.state == seat::life::alive) --alive_;
    s.state = seat::life::empty;
    s.harvested.store(s.placed, std::memory_order_relaxed);
    s.handle = descriptor();
    s.socket = descriptor();
    s.replies.clear();
    if (!victims.empty() || again || why == sentence::overwrote) ++crashed_;
    dispatch(wakes);
  }
  if (!victims.empty() || sentenced != nullptr || again || s.proven || was_told_to_leave ||
      enclosed) {
    failed_starts_ = idle_deaths_ = 0;
  } else if (life == worker_life::ready && had_nothing_to_do) {
    // It had started, and whoever killed it lost no call by it. Those that always die are not
    // started in a hurry.
    if (++idle_deaths_ >= max_failed_starts) start_pause_until_ = monotonic_ns() + retry_pause_ns;
  } else if (!supervisor_died && s.pid != 0) {
    const bool refused = life == worker_life::limits_refused;
    count_failed_start(start_failure(s, status, life),
                       refused ? breakage::limits : breakage::other);
  }
  if (sentenced != nullptr) failures.push_back({sentenced, sentence_of(*sentenced, why)});
  for (remote_job* job : victims) {
    if (why != sentence::none)
      failures.push_back({job, lost_answer(s, *job)});
    else if (supervisor_died)
      failures.push_back({job, lost_supervisor(s, *job)});
    else
      failures.push_back(
          {job, std::make_exception_ptr(worker_crashed(verdict_of(s, *job, status)))});
  }
}

std::string process_engine::start_failure(const seat& s, int status, worker_life life) {
  if (life == worker_life::initializer_threw) {
    const complaint its = complaint_of(*s.shared);
    return "it threw " + its.type + ": " + its.text;
  }
  if (life == worker_life::limits_refused) return complaint_of(*s.shared).text;
  return "worker " + std::to_string(s.pid) + " " + describe_status(status) +
         " before its first call" +
         (s.killed_for_memory != 0 ? ": limits.group.memory is too little" : "") +
         (s.tail.empty() ? "" : ":\n" + s.tail);
}

std::exception_ptr process_engine::lost_answer(const seat& s, const remote_job& job) {
  return std::make_exception_ptr(serialization_error(
      "the answer of the " + job.describe() + " was lost: a call of worker " +
      std::to_string(s.pid) + " wrote over the memory that it shares with the pool"));
}

std::exception_ptr process_engine::lost_supervisor(const seat& s, const remote_job& job) {
  return std::make_exception_ptr(
      supervisor_lost("the workers' supervisor was killed while worker " + std::to_string(s.pid) +
                      " ran a " + job.describe()));
}

worker_crashed::verdict process_engine::verdict_of(seat& s, const remote_job& job, int status) {
  worker_crashed::verdict v;
  v.pid = s.pid;
  v.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  v.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
  if (job.limits_ != nullptr) v.attempt = job.limits_->attempt;
  v.stderr_tail = s.tail.substr(s.tail.size() - std::min(s.tail.size(), tail_size));
  v.call = job.describe();
  if (!s.cause) s.cause = cause_of_death(s, status);
  v.cause = *s.cause;
  v.usage = s.usage;
  v.core_dumped = WIFSIGNALED(status) && WCOREDUMP(status);
  add_crash_note(v, s.shared->crash);
  return v;
}

// Of a worker that its pool did not kill.
crash_cause process_engine::cause_of_death(const seat& s, int status) {
  if (!WIFSIGNALED(status)) return crash_cause::exit;
  const int signal = WTERMSIG(status);
  const auto& cpu_time = options_.limits.cpu_time;
  if (cpu_time && (signal == SIGXCPU ||
                   (signal == SIGKILL && s.usage.user_time + s.usage.system_time > *cpu_time)))
    return crash_cause::cpu_limit;
  if (signal != SIGKILL) return crash_cause::signal;
  if (s.killed_for_memory != 0) return crash_cause::out_of_memory;
  const std::uint64_t kills = out_of_memory_kills();
  if (kills <= out_of_memory_kills_) return crash_cause::killed_from_outside;
  ++out_of_memory_kills_;  // the others may be of workers whose deaths are not told yet
  return crash_cause::out_of_memory;
}

bool process_engine::anybody_proven() {
  for (std::size_t i = 0; i < seat_count_; ++i)
    if (seat_at(i).state == seat::life::alive && seat_at(i).proven) return true;
  return false;
}

void process_engine::count_failed_start(const std::string& reason, breakage how) {
  bool others_work = false;
  {
    const std::lock_guard hold(mutex_);
    others_work = anybody_proven();
  }
  if (others_work) {  // the pool lives on with those it has, and tries again later
    start_pause_until_ = monotonic_ns() + retry_pause_ns;
    return;
  }
  if (how == breakage::limits)  // the next one would fare no better
    return break_pool(how, "the limits of the pool's workers: " + reason);
  if (++failed_starts_ < max_failed_starts) return;
  break_pool(options_.initializer != nullptr ? breakage::initializer : breakage::other,
             (options_.initializer != nullptr ? "the pool's initializer failed in three workers: "
                                              : "three workers in a row did not start: ") +
                 reason);
}

void process_engine::break_pool(breakage how, std::string reason) {
  {
    const std::lock_guard hold(mutex_);
    if (broken_ != breakage::none) return;
    closed_ = true;
    broken_ = how;
    broken_reason_ = std::move(reason);
  }
  fail_pending();
}

std::exception_ptr process_engine::broken_error() const {
  switch (broken_) {
    case breakage::initializer:
      return std::make_exception_ptr(initializer_failed(broken_reason_));
    case breakage::limits:
      return std::make_exception_ptr(limits_unavailable(broken_reason_));
    case breakage::image:
      return std::make_exception_ptr(image_mismatch(broken_reason_));
    default:
      return std::make_exception_ptr(broken_executor(broken_reason_));
  }
}

void process_engine::fail_pending() {
  std::vector<failure> failures;
  {
    const std::lock_guard hold(mutex_);
    while (remote_job* job = pending_.front()) {
      pending_.remove(*job);
      settle(*job);
      failures.push_back({job, broken_error()});
    }
  }
  reject_all(failures);
}

}  // namespace plait::detail

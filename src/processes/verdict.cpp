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
  if (WIFSIGNALED(status))
    return "was killed by signal " + std::to_string(WTERMSIG(status)) + " (" +
           sigdescr_np(WTERMSIG(status)) + ")";
  return "exited with status " + std::to_string(WEXITSTATUS(status));
}

// What made a worker leave before its first call.
struct complaint {
  std::string type, text;
};
complaint complaint_of(const channel& shared) {
  decoder from(reinterpret_cast<const std::byte*>(shared.complaint),
               std::min<std::size_t>(shared.complaint_size, sizeof shared.complaint));
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
  if (limits == nullptr || limits->retries == 0 || out_of_patience_) return false;
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
  for (bool more = true; more;) {  // C4: what was answered is delivered first
    reply_batch batch;
    {
      const std::lock_guard hold(mutex_);
      more = harvest(s, batch);
    }
    resolve(batch);
  }
  s.cause.reset();
  if (groups_ != nullptr) s.killed_for_memory = groups_->remove(s.number);
  std::vector<failure> failures;
  judge(s, status, supervisor_died, failures);
  reject_all(failures);
}

void process_engine::judge(seat& s, int status, bool supervisor_died,
                           std::vector<failure>& failures) {
  remote_job *victim = nullptr, *again = nullptr;
  sentence why = sentence::none;
  std::vector<remote_job*> lost;
  bool was_told_to_leave = false, enclosed = false;
  const worker_life life = s.shared->life.load(std::memory_order_seq_cst);
  {
    wake_list wakes;
    const std::lock_guard hold(mutex_);
    enclosed = is_enclosed(s);
    for (std::uint32_t q = s.placed; q != s.harvested.load(std::memory_order_relaxed); --q) {
      remote_job* job = std::exchange(s.jobs[(q - 1) % slot_count], nullptr);
      if (job == nullptr) continue;
      const bool may_have_begun = enclosed && q - 1 == s.harvested.load(std::memory_order_relaxed);
      if (!may_have_begun &&
          s.slot_of(q - 1).state.load(std::memory_order_acquire) == slot_state::queued) {
        pending_.push_front(*job);  // C4: never begun
      } else if (victim != nullptr || again != nullptr) {
        lost.push_back(job);  // C6: a worker that scribbled over its slots; nobody waits for ever
        settle(*job);
      } else if (s.condemned == sentence::none && may_begin_again(*job)) {
        again = job;
      } else {
        victim = job;  // C4
        settle(*victim);
      }
    }
    was_told_to_leave = s.state == seat::life::retiring;
    if (s.state == seat::life::alive) --alive_;
    s.state = seat::life::empty;
    s.harvested.store(s.placed, std::memory_order_relaxed);
    s.handle = descriptor();
    s.socket = descriptor();
    why = std::exchange(s.condemned, sentence::none);
    if (again != nullptr) pending_.push_front(*again);
    if ((victim != nullptr && why == sentence::none) || again != nullptr) ++crashed_;
    dispatch(wakes);
  }
  if (victim != nullptr || again != nullptr || s.proven || was_told_to_leave || enclosed) {
    failed_starts_ = 0;
  } else if (!supervisor_died && s.pid != 0) {
    std::string reason = "worker " + std::to_string(s.pid) + " " + describe_status(status) +
                         " before its first call" +
                         (s.killed_for_memory != 0 ? ": limits.group.memory is too little" : "") +
                         (s.tail.empty() ? "" : ":\n" + s.tail);
    const bool refused = life == worker_life::limits_refused;
    if (refused || life == worker_life::initializer_threw) {
      const complaint its = complaint_of(*s.shared);
      reason = refused ? its.text : "it threw " + its.type + ": " + its.text;
    }
    count_failed_start(reason, refused ? breakage::limits : breakage::other);
  }
  const auto crash = [&](const remote_job& job) {
    return std::make_exception_ptr(worker_crashed(verdict_of(s, job, status)));
  };
  for (remote_job* job : lost) failures.push_back({job, crash(*job)});
  if (victim == nullptr) return;
  if (why != sentence::none) {
    failures.push_back({victim, sentence_of(*victim, why)});
    return;
  }
  if (supervisor_died) {
    failures.push_back({victim, std::make_exception_ptr(supervisor_lost(
                                    "the workers' supervisor was killed while worker " +
                                    std::to_string(s.pid) + " ran a " + victim->describe()))});
    return;
  }
  failures.push_back({victim, crash(*victim)});
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

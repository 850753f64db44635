// Calls that take longer than they may, and calls that somebody wants to end.
//
// Killing hits one call. Under the mutex nothing is placed, and what is queued behind the call is
// taken back before the signal is sent: the worker has nothing else that it could begin. If the call
// ends meanwhile, its result is delivered like any other and only its worker is lost.
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "processes/process_engine.hpp"

namespace plait::detail {
namespace {

std::int64_t add_ns(std::int64_t a, std::int64_t b) noexcept {
  std::int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? call_limits::never : sum;
}

}  // namespace

std::int64_t time_from_now(duration span) noexcept {
  return add_ns(monotonic_ns(), std::max<std::int64_t>(span.count(), 0));
}

call_limits::call_limits(const process_call_options& options) noexcept
    : asked_timeout(options.timeout), asked_deadline(options.deadline), retries(options.retries) {
  if (options.timeout != duration::max())
    timeout_ns = std::max<std::int64_t>(options.timeout.count(), 0);
  stop_first_ns = std::max<std::int64_t>(options.stop_first.count(), 0);
  if (options.deadline != duration::max()) deadline = time_from_now(options.deadline);
}

bool process_engine::has_begun(const remote_job& job) noexcept {
  const std::lock_guard hold(mutex_);
  if (job.place_ != remote_job::place::placed) return job.place_ == remote_job::place::resolving;
  return seat_at(job.seat_).slot_of(job.sequence_).state.load(std::memory_order_acquire) !=
         slot_state::queued;
}

bool process_engine::kill(remote_job& job) noexcept {
  if (job.engine_ != this || in_a_forked_child()) return false;
  if (withdraw(job)) return true;
  wake_list wakes;
  const std::lock_guard hold(mutex_);
  if (job.place_ != remote_job::place::placed) return false;
  call_limits* limits = job.limits_.get();
  if (limits != nullptr && limits->stop_first_ns != 0 && ask_to_stop(job)) {
    ask_before_kill(*limits, sentence::killed, monotonic_ns());
    next_limit_ = std::min(next_limit_, limits->kill_at);
    ring(alarm_.get());
    return true;
  }
  const bool hit = condemn(seat_at(job.seat_), job.sequence_, sentence::killed);
  dispatch(wakes);
  return hit;
}

bool process_engine::stop(remote_job& job, bool hears) noexcept {
  if (in_a_forked_child()) return false;
  if (withdraw(job)) return true;
  const std::lock_guard hold(mutex_);
  if (job.place_ != remote_job::place::placed || !ask_to_stop(job)) return false;
  // It has been asked: it does not begin once more.
  if (call_limits* limits = job.limits_.get()) limits->retries = 0;
  return hears ||
         seat_at(job.seat_).shared->hears.load(std::memory_order_seq_cst) == 1 + job.sequence_;
}

// C9. False if it does not run.
bool process_engine::ask_to_stop(remote_job& job) noexcept {
  seat& s = seat_at(job.seat_);
  if (s.slot_of(job.sequence_).state.load(std::memory_order_acquire) != slot_state::running)
    return false;
  auto& word = s.shared->pool.stop;
  word.store(1 + job.sequence_, std::memory_order_seq_cst);
  futex_wake(word);  // no more than a look into a table if nobody listens
  return true;
}

void process_engine::ask_before_kill(call_limits& limits, sentence why, std::int64_t now) noexcept {
  if (limits.asked == 0) {
    limits.asked = static_cast<std::uint8_t>(why);
    limits.kill_at = add_ns(now, limits.stop_first_ns);
  }
}

std::exception_ptr remote_job::stopped_because() const {
  if (limits_ == nullptr || limits_->asked == 0) return nullptr;
  return process_engine::sentence_of(*this, static_cast<sentence>(limits_->asked));
}

bool process_engine::condemn(seat& s, std::uint32_t sequence, sentence why) noexcept {
  if (s.condemned != sentence::none) return false;
  for (std::uint32_t q = s.placed - 1; q != sequence; --q) {
    remote_job* job = s.jobs[q % slot_count];
    if (job != nullptr && take_back(s, q)) pending_.push_front(*job);
  }
  const auto state = s.slot_of(sequence).state.load(std::memory_order_acquire);
  if (state == slot_state::queued || (has_result(state) && !awaits_hearing(s, sequence)))
    return false;
  // It runs. Or its last report has not been heard, and who knows whether it is the last. Or its worker has scribbled over the state: then its end is the only cure.
  s.condemned_call = sequence;
  end_worker(s, why);
  return true;
}

void process_engine::end_worker(seat& s, sentence why) noexcept {
  s.condemned = why;
  if (s.state == seat::life::alive) {
    s.state = seat::life::retiring;
    --alive_;
  }
  signal_condemned(s);
  start_requested_ = true;  // its successor, and the calls that were taken back
  ring(alarm_.get());
}

void process_engine::signal_condemned(seat& s) noexcept {
  if (s.signalled || !s.handle) return;  // the manager has another way
  syscall(SYS_pidfd_send_signal, s.handle.get(), SIGKILL, nullptr, 0);
  s.signalled = true;
}

std::exception_ptr process_engine::sentence_of(const remote_job& job, sentence why) {
  const call_limits* limits = job.limits_.get();
  const std::string what = "the " + job.describe();
  switch (why) {
    case sentence::none:
      break;
    case sentence::timeout:
      return std::make_exception_ptr(task_timeout(what + " ran longer than its timeout of " +
                                                  to_text(limits->asked_timeout) +
                                                  " and was ended"));
    case sentence::deadline:
      return std::make_exception_ptr(task_timeout(what + " was killed when its deadline of " +
                                                  to_text(limits->asked_deadline) + " had passed"));
    case sentence::terminated:
      return std::make_exception_ptr(task_killed(what + " was killed by the shutdown of its pool"));
    case sentence::killed:
    case sentence::overwrote:
      break;
  }
  return std::make_exception_ptr(task_killed(what + " was killed by kill()"));
}

std::exception_ptr process_engine::late(const remote_job& job) {
  return std::make_exception_ptr(task_timeout("the " + job.describe() +
                                              " had not begun when its deadline of " +
                                              to_text(job.limits_->asked_deadline) + " passed"));
}

bool process_engine::take_out(remote_job& job) noexcept {
  if (job.place_ == remote_job::place::placed) return take_back(seat_at(job.seat_), job.sequence_);
  if (job.place_ != remote_job::place::pending) return false;
  pending_.remove(job);
  return true;
}

// On the manager. A call that has begun says itself when, so that its time is its own; one that is
// queued is looked at again when its time would be over if it began now.
void process_engine::enforce_limits() {
  std::vector<failure> failures;
  {
    wake_list wakes;
    const std::lock_guard hold(mutex_);
    const std::int64_t now = monotonic_ns();
    if (now < next_limit_) return;
    next_limit_ = call_limits::never;
    for (call_limits *limits = limited_, *next; limits != nullptr; limits = next) {
      next = limits->next;
      remote_job& job = *limits->job;
      std::int64_t due = add_ns(now, limits->timeout_ns);
      bool runs = false;
      if (limits->asked != 0) {  // for the last time
        if (now >= limits->kill_at && job.place_ == remote_job::place::placed)
          condemn(seat_at(job.seat_), job.sequence_, static_cast<sentence>(limits->asked));
        else
          next_limit_ = std::min(next_limit_, limits->kill_at);
        continue;
      }
      if (job.place_ == remote_job::place::placed) {
        const slot& at = seat_at(job.seat_).slot_of(job.sequence_);
        const std::int64_t began = at.began.load(std::memory_order_acquire);
        runs = at.state.load(std::memory_order_acquire) != slot_state::queued;
        if (runs && limits->seen_running == call_limits::never) limits->seen_running = now;
        // C6: it cannot have begun later than we saw it run
        if (runs)
          due =
              add_ns(std::min(began != 0 ? began : now, limits->seen_running), limits->timeout_ns);
        else
          limits->seen_running = call_limits::never;
      }
      const bool too_long = now >= due;
      if (!too_long && now < limits->deadline) {
        next_limit_ = std::min({next_limit_, due, limits->deadline});
        continue;
      }
      if (!runs && take_out(job)) {
        settle(job);
        failures.push_back({&job, late(job)});
      } else if (job.place_ == remote_job::place::placed) {
        const sentence why = too_long ? sentence::timeout : sentence::deadline;
        if (limits->stop_first_ns != 0 && ask_to_stop(job)) {
          ask_before_kill(*limits, why, now);
          next_limit_ = std::min(next_limit_, limits->kill_at);
        } else {
          condemn(seat_at(job.seat_), job.sequence_, why);
        }
      }
    }
    dispatch(wakes);
  }
  reject_all(failures);
}

}  // namespace plait::detail

#include "plait/core/state.hpp"

#include "core/relax.hpp"
#include "plait/core/future.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

namespace plait::detail {
namespace {

thread_local blocking_policy* policy_of_thread = nullptr;

// A thread asleep on one state. Lives on that thread's stack.
class sleeper final : public observer {
 public:
  sleeper() noexcept : observer(&sleeper::wake) {}

  // Sleeps until woken or `deadline`; returns whether it was woken.
  bool sleep_until(const time_point* deadline) noexcept {
    while (word_.load(std::memory_order_acquire) == asleep) {
      timespec at{};
      if (deadline != nullptr) {
        const auto since = deadline->time_since_epoch().count();
        if (since < 0) return false;
        at.tv_sec = since / 1'000'000'000;
        at.tv_nsec = since % 1'000'000'000;
      }
      const long rc = syscall(SYS_futex, &word_, FUTEX_WAIT_BITSET_PRIVATE, asleep,
                              deadline != nullptr ? &at : nullptr, nullptr, FUTEX_BITSET_MATCH_ANY);
      if (rc == -1 && errno == ETIMEDOUT) return word_.load(std::memory_order_acquire) == awake;
    }
    return true;
  }
  // R5: the finisher holds our address and will store `awake` within a few instructions.
  void await_notification() noexcept { sleep_until(nullptr); }

 private:
  enum : std::uint32_t { asleep, awake };
  static void wake(observer* self) noexcept {
    auto& word = static_cast<sleeper*>(self)->word_;
    word.store(awake, std::memory_order_release);
    // The sleeper may be gone by now; waking an address needs no object behind it.
    syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
  }
  std::atomic<std::uint32_t> word_{asleep};
};

}  // namespace

blocking_policy* blocking_policy::exchange(blocking_policy* next) noexcept {
  return std::exchange(policy_of_thread, next);
}

blocking_scope::blocking_scope(const state_base* awaited) : policy_(policy_of_thread) {
  if (policy_ != nullptr) policy_->before_block(awaited);
}
blocking_scope::~blocking_scope() {
  if (policy_ != nullptr) policy_->after_block();
}

thread_local constinit running_call* running_call::innermost = nullptr;

void state_base::finish(outcome how) noexcept {
  outcome_ = how;
  auto word = word_.load(std::memory_order_relaxed);
  if (word & private_here) {
    auto& o = finish_at_home(how);
    return o.notify(&o);
  }
  while (!(word & (locked | observed))) {
    const auto next = (word | done) - one_ref;  // R3: done and the reference in one step
    if (word_.compare_exchange_weak(word, next, std::memory_order_acq_rel,
                                    std::memory_order_relaxed)) {
      if (next >> ref_shift == 0) destroy(next);
      return;
    }
  }
  finish_and_notify();
}

void state_base::finish_and_notify() noexcept {
  auto word = lock();
  observer* newest = std::exchange(observers_, nullptr);
  // R2, R3. Sets done, clears locked and, if set, observed, and gives the completer's reference
  // back; references may move meanwhile. From here on the state belongs to others, if there are
  // any.
  word = word_.fetch_add(done - locked - (word & observed) - one_ref, std::memory_order_acq_rel);
  observer* oldest = nullptr;
  while (newest != nullptr) {
    observer* next = std::exchange(newest->next, oldest);
    oldest = std::exchange(newest, next);
  }
  while (oldest != nullptr) {  // R4: read `next` first, notify may free the observer
    observer* o = std::exchange(oldest, oldest->next);
    o->notify(o);
  }
  if (word >> ref_shift == 1) destroy(word);
}

void state_base::finish_exception(std::exception_ptr error) noexcept {
  error_ = std::move(error);
  finish(outcome::exception);
}

bool state_base::cancel() noexcept {
  add_ref();
  if (try_claim()) {
    finish(outcome::cancelled);
    return true;
  }
  bool heard = false;
  if (!is_done()) {
    word_.fetch_or(stopping, std::memory_order_acq_rel);
    heard = request_stop();
  }
  release();
  return heard;
}

std::uint64_t state_base::lock() noexcept {
  auto word = word_.load(std::memory_order_relaxed);
  for (int spins = 0;; ++spins) {
    if (word & locked) {
      if (spins < 1000)
        relax();
      else
        syscall(SYS_sched_yield);
      word = word_.load(std::memory_order_relaxed);
    } else if (word_.compare_exchange_weak(word, word | locked, std::memory_order_acquire,
                                           std::memory_order_relaxed)) {
      return word | locked;
    }
  }
}

bool state_base::add_observer(observer& o) noexcept {
  if (is_done()) return false;
  const auto word = lock();
  if (word & done) {
    word_.fetch_sub(locked, std::memory_order_release);
    return false;
  }
  o.next = observers_;
  observers_ = &o;
  // Sets observed if it was clear, clears locked.
  word_.fetch_add((word & observed ? 0 : observed) - locked, std::memory_order_release);
  return true;
}

bool state_base::remove_observer(observer& o) noexcept {
  const auto word = lock();
  observer** link = &observers_;
  while (*link != nullptr && *link != &o) link = &(*link)->next;
  const bool found = *link != nullptr;
  if (found) *link = o.next;
  const bool emptied = (word & observed) && observers_ == nullptr;
  word_.fetch_sub(locked + (emptied ? observed : 0), std::memory_order_release);
  return found;
}

std::exception_ptr state_base::retrieve() noexcept {
  if (outcome_ == outcome::cancelled) return std::make_exception_ptr(cancelled_error());
  if (outcome_ != outcome::exception) return nullptr;
  if (!(word_.load(std::memory_order_relaxed) & retrieved))
    word_.fetch_or(retrieved, std::memory_order_relaxed);
  return error_;
}

void state_base::wait_now() {
  assist();
  if (!is_done()) block();
}

void state_base::block() {
  for (int spins = 0; spins < 64; ++spins) {  // about the time that a short call has left to run
    if (is_done()) return;
    relax();
  }
  const blocking_scope scope(this);
  sleeper waiting;
  if (add_observer(waiting)) waiting.sleep_until(nullptr);
}

bool state_base::wait_until(time_point deadline) {
  if (is_done()) return true;
  assist();
  if (is_done()) return true;
  const blocking_scope scope(this);
  sleeper waiting;
  if (!add_observer(waiting) || waiting.sleep_until(&deadline)) return true;
  if (remove_observer(waiting)) return false;
  waiting.await_notification();
  return true;
}

void state_base::destroy(std::uint64_t word) noexcept {
  if (outcome_ == outcome::exception && !(word & retrieved)) [[unlikely]]
    report();  // R6
  delete this;
}

void state_base::report() noexcept {
  std::string origin;
  try {
    origin = describe();
  } catch (...) {  // no memory for the text: the exception itself still arrives
  }
  report_unhandled(std::move(error_), std::move(origin));
}

std::string state_base::describe() const { return "result of a promise"; }

void throw_no_state() {
  throw invalid_state("this future is empty: it was moved from or never set");
}

}  // namespace plait::detail

// plait/coroutines/condition.hpp: wait, with a lock let go meanwhile, until somebody says to look
// again.
//
//   plait::lock lock;
//   plait::condition changed;
//   auto held = co_await lock.acquire();
//   co_await changed.wait(held, [&] { return !items.empty(); });   // the lock is held here
//   ...
//   changed.notify();                                             // by whoever adds an item
//
// Threads:  belongs to one loop, with the lock, which outlives every wait.
// Order:    notify wakes who waits longest; the woken stand in the lock's line like everyone else.
// Stops:    a stopped wait throws, after it has got the lock again: whether wait() returns or
//           throws, the lock is held. A wait that was notified has succeeded; a stop after that
//           does not reach it, so that no notification is lost.
// Throws:   wait: invalid_state when `held` holds nothing.
// Cost:     no allocation, save the frame of the form with a predicate.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>

#include "plait/coroutines/lock.hpp"
#include "plait/coroutines/task.hpp"

namespace plait {

class condition {
 public:
  condition() noexcept = default;
  condition(const condition&) = delete;
  condition& operator=(const condition&) = delete;
  // Tasks that still wait on it are cancelled, each once it has its lock.
  ~condition();

  class awaiter;
  // Until notified. May wake for nothing: another can have been there first.
  [[nodiscard]] awaiter wait(lock::holder& held);
  // Until predicate() is true, which is asked with the lock held.
  template <class Predicate>
  task<> wait(lock::holder& held, Predicate predicate);

  // Wakes up to `count` of those who wait. Does not need the lock: nothing else runs meanwhile.
  void notify(std::size_t count = 1) noexcept;
  void notify_all() noexcept { notify(static_cast<std::size_t>(-1)); }

 private:
  detail::wait_list<awaiter> waiting_;
};

class condition::awaiter final : public detail::listed_waiter {
 public:
  awaiter(condition& c, lock::holder& held) noexcept : condition_(c), held_(held) {}
  bool await_ready() const noexcept { return false; }
  template <detail::flow_promise P>
  bool await_suspend(std::coroutine_handle<P> frame) {
    lock_ = held_.of_;
    if (lock_ == nullptr) throw invalid_state("wait() on a condition needs a held lock");
    if (!suspend(frame)) return false;
    condition_.waiting_.push(*this);
    listening_ = true;
    held_.release();
    return true;
  }
  void await_resume() {
    held_.of_ = lock_;  // given back by the lock's line
    check();
  }

  // By the lock, which goes while this waits for it.
  void abandon() noexcept override {
    lock_ = nullptr;
    give_up();
  }
  std::string waits_for() const override {
    return listening_ ? "a condition to be notified" : "the lock of a condition";
  }
  std::uint64_t held_by() const noexcept override { return listening_ ? 0 : lock_->taken_by_; }

 private:
  friend condition;
  // Out of the condition's line, into the lock's.
  void relock() noexcept {
    listening_ = false;
    if (lock_->locked_) {
      lock_->waiting_.push(*this);
    } else {
      lock_->take(flow_number());
      granted();
    }
  }
  void give_up_with_lock() noexcept {
    give_up_later();
    relock();
  }
  void stop() noexcept override {
    if (!listening_) return;  // notified: it ends when it has the lock
    condition_.waiting_.remove(*this);
    give_up_with_lock();
  }
  condition& condition_;
  lock::holder& held_;
  lock* lock_ = nullptr;
  bool listening_ = false;
};

inline condition::awaiter condition::wait(lock::holder& held) { return awaiter(*this, held); }

template <class Predicate>
task<> condition::wait(lock::holder& held, Predicate predicate) {
  while (!predicate()) co_await wait(held);
}

inline void condition::notify(std::size_t count) noexcept {
  for (; count > 0; --count) {
    awaiter* w = waiting_.pop();
    if (w == nullptr) return;
    w->relock();
  }
}

inline condition::~condition() {
  while (awaiter* w = waiting_.pop()) w->give_up_with_lock();
}

}  // namespace plait

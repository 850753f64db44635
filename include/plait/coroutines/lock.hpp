// plait/coroutines/lock.hpp: one task at a time in a section that awaits.
//
//   plait::lock lock;
//   const auto held = co_await lock.acquire();   // released when `held` leaves scope
//
// Between two co_awaits a task is alone on its loop anyway: a lock is for a section that awaits.
//
// Threads:  belongs to one loop.
// Order:    first come, first served; release hands the lock to the one who waits longest.
// Stops:    a stopped wait has not got the lock; a lock already handed over arrives.
// Throws:   acquire: would_deadlock when the calling task holds it already, in the variable that the
//           first acquire filled; a holder that has been moved may be with another task.
// Cost:     no allocation.
#pragma once

#include <coroutine>
#include <cstdint>
#include <optional>

#include "plait/coroutines/wait_list.hpp"

namespace plait {

class lock {
 public:
  lock() noexcept = default;
  lock(const lock&) = delete;
  lock& operator=(const lock&) = delete;
  // Tasks that still wait for it are cancelled. Nobody may hold it, nor be about to run with it.
  ~lock() = default;

  // Who has this has the lock.
  class [[nodiscard]] holder {
   public:
    holder(holder&& other) noexcept : of_(std::exchange(other.of_, nullptr)) {
      if (of_ != nullptr) of_->taken_by_ = nobody;  // that is known: it may be another task now
    }
    holder& operator=(holder other) noexcept {
      std::swap(of_, other.of_);
      if (of_ != nullptr) of_->taken_by_ = nobody;
      return *this;
    }
    ~holder() { release(); }
    // Gives the lock back early; once.
    void release() noexcept {
      if (of_ != nullptr) std::exchange(of_, nullptr)->release();
    }
    // False once it was released, or while a condition has it.
    explicit operator bool() const noexcept { return of_ != nullptr; }

   private:
    friend lock;
    friend class condition;
    explicit holder(lock& of) noexcept : of_(&of) {}
    lock* of_;
  };

  class awaiter;
  // co_await gives the holder.
  [[nodiscard]] awaiter acquire() noexcept;
  // The same at once, or nothing if somebody holds it.
  [[nodiscard]] std::optional<holder> try_acquire() noexcept {
    if (locked_) return std::nullopt;
    take(nobody);
    return holder(*this);
  }
  bool locked() const noexcept { return locked_; }

 private:
  friend class condition;
  static constexpr std::uint64_t nobody = 0;
  void take(std::uint64_t flow) noexcept {
    locked_ = true;
    taken_by_ = flow;
  }
  void release() noexcept;
  // Whoever waits in line while it is locked is granted() it in turn.
  detail::wait_list<detail::listed_waiter> waiting_;
  std::uint64_t taken_by_ = nobody;  // the flow whose variable holds it, if that is known
  bool locked_ = false;
};

class lock::awaiter final : public detail::listed_waiter {
 public:
  explicit awaiter(lock& l) noexcept : lock_(l) {}
  bool await_ready() const noexcept { return false; }
  template <detail::flow_promise P>
  bool await_suspend(std::coroutine_handle<P> frame) {
    if (!suspend(frame)) return false;
    if (lock_.locked_) {
      if (lock_.taken_by_ == flow_number()) [[unlikely]]
        refuse();
      lock_.waiting_.push(*this);
      return true;
    }
    lock_.take(flow_number());
    unsuspend();
    return false;
  }
  holder await_resume() const {
    check();
    return holder(lock_);
  }

  std::string waits_for() const override { return "a lock"; }
  std::uint64_t held_by() const noexcept override { return lock_.taken_by_; }

 private:
  void stop() noexcept override {
    lock_.waiting_.remove(*this);
    give_up();
  }
  [[noreturn]] void refuse() {
    unsuspend();
    throw would_deadlock("this task holds the lock already, and would wait for itself");
  }
  lock& lock_;
};

inline lock::awaiter lock::acquire() noexcept { return awaiter(*this); }

inline void lock::release() noexcept {
  if (detail::listed_waiter* next = waiting_.pop()) {
    taken_by_ = next->flow_number();
    next->granted();
  } else {
    locked_ = false;
  }
}

}  // namespace plait

// plait/coroutines/semaphore.hpp: how many tasks may be in a section at once.
//
//   plait::semaphore semaphore{50};
//   const auto permit = co_await semaphore.acquire();   // released when `permit` leaves scope
//
// There is no bounded variant: a permit is an object, which cannot be released twice.
//
// Threads:  belongs to one loop.
// Order:    first come, first served; release hands the permit to the one who waits longest.
// Stops:    a stopped wait has no permit; a permit already handed over arrives.
// Cost:     no allocation.
// Example:  examples/coroutines/limit_and_timeout.cpp
#pragma once

#include <coroutine>
#include <cstddef>
#include <optional>

#include "plait/coroutines/wait_list.hpp"

namespace plait {

class semaphore {
 public:
  explicit semaphore(std::size_t permits) noexcept : free_(permits) {}
  semaphore(const semaphore&) = delete;
  semaphore& operator=(const semaphore&) = delete;
  // Tasks that still wait for a permit are cancelled. Permits must be gone before their semaphore,
  // those too whose task has not run on yet.
  ~semaphore() = default;

  class [[nodiscard]] permit {
   public:
    permit() noexcept = default;  // of none
    permit(permit&& other) noexcept : from_(std::exchange(other.from_, nullptr)) {}
    permit& operator=(permit other) noexcept {
      std::swap(from_, other.from_);
      return *this;
    }
    ~permit() { release(); }
    // Gives the permit back early; once.
    void release() noexcept {
      if (from_ != nullptr) std::exchange(from_, nullptr)->release();
    }

   private:
    friend semaphore;
    explicit permit(semaphore& from) noexcept : from_(&from) {}
    semaphore* from_ = nullptr;
  };

  class awaiter;
  // co_await gives a permit.
  [[nodiscard]] awaiter acquire() noexcept;
  // The same at once, or nothing if it would have to wait.
  [[nodiscard]] std::optional<permit> try_acquire() noexcept {
    if (free_ == 0) return std::nullopt;
    --free_;
    return permit(*this);
  }
  // Permits that nobody holds.
  std::size_t available() const noexcept { return free_; }

 private:
  void release() noexcept;
  std::size_t free_;
  detail::wait_list<awaiter> waiting_;  // not empty only while no permit is free
};

class semaphore::awaiter final : public detail::listed_waiter {
 public:
  explicit awaiter(semaphore& s) noexcept : semaphore_(s) {}
  bool await_ready() const noexcept { return false; }
  template <detail::flow_promise P>
  bool await_suspend(std::coroutine_handle<P> frame) noexcept {
    if (!may_wait(frame)) return false;
    if (semaphore_.free_ == 0) {
      wait_here(frame);
      semaphore_.waiting_.push(*this);
      return true;
    }
    --semaphore_.free_;
    return false;
  }
  permit await_resume() const {
    check();
    return permit(semaphore_);
  }

  std::string waits_for() const override { return "a permit of a semaphore"; }

 private:
  void stop() noexcept override {
    semaphore_.waiting_.remove(*this);
    give_up();
  }
  semaphore& semaphore_;
};

inline semaphore::awaiter semaphore::acquire() noexcept { return awaiter(*this); }

inline void semaphore::release() noexcept {
  if (awaiter* next = waiting_.pop()) {
    next->granted();
  } else {
    ++free_;
  }
}

}  // namespace plait

// plait/coroutines/timer.hpp: a point in time that something on the loop waits for; sleep().
#pragma once

#include <coroutine>

#include "plait/core/clock.hpp"
#include "plait/coroutines/context.hpp"

namespace plait {
namespace detail {

// A place in a circular list, null while it is in none.
struct timer_link {
  timer_link *previous = nullptr, *next = nullptr;
  void unlink() noexcept {
    previous->next = next;
    next->previous = previous;
    next = nullptr;
  }
};

// A node of the loop's timer wheel. Intrusive; disarmed on destruction. About 10 ns to arm and
// disarm, beside a reading of the clock.
struct timer : timer_link {
  timer() = default;
  timer(const timer&) = delete;
  timer& operator=(const timer&) = delete;

  void arm(event_loop& loop, time_point deadline) noexcept;
  void disarm() noexcept {
    if (armed()) unlink();
  }
  bool armed() const noexcept { return next != nullptr; }
  // On the loop, once, when the deadline has passed; already disarmed.
  virtual void expired() noexcept = 0;

  time_point deadline;

 protected:
  ~timer() { disarm(); }
};

class sleeper final : public waiter, private timer {
 public:
  explicit sleeper(duration span) noexcept : span_(span) {}
  sleeper(sleeper&& other) noexcept : span_(other.span_) {}  // before awaiting
  bool await_ready() const noexcept { return false; }
  template <flow_promise P>
  bool await_suspend(std::coroutine_handle<P> frame) noexcept {
    if (!suspend(frame)) return false;
    if (span_ > duration::zero()) {
      begin();
    } else {
      resume_soon();
    }
    return true;
  }
  void await_resume() const { check(); }
  std::string waits_for() const override;
  bool keeps_its_place() const noexcept override { return span_ <= duration::zero(); }

 private:
  void begin() noexcept;
  void expired() noexcept override { resume_soon(); }
  void stop() noexcept override {
    disarm();
    give_up();
  }
  duration span_;
};

}  // namespace detail

// Suspends the calling task for at least `span`, by its loop's clock. Zero or less lets everything
// that is ready run first. Stops at once when the task is asked to stop: throws cancelled_error.
template <class Rep, class Period>
[[nodiscard]] auto sleep(const std::chrono::duration<Rep, Period>& span) noexcept {
  return detail::sleeper(detail::to_duration(span));
}

}  // namespace plait

// plait/coroutines/timeout.hpp: a deadline for an awaitable.
//
//   auto page = co_await plait::timeout(5s, session.get(url));
//
// Stops:    when the time is up the operand is stopped and waited for, then timeout_error is
//           thrown. An operand that finishes all the same keeps its result. A stop from outside is
//           passed on and is not a timeout: the operand's cancelled_error goes through.
// Throws:   timeout_error, or what the operand throws. Not to throw: move_on_after (move_on.hpp).
// See also: deadline.hpp, for a deadline that moves.
// Cost:     one timer and one context; no allocation when the operand is a task.
// Example:  examples/coroutines/limit_and_timeout.cpp
#pragma once

#include <coroutine>
#include <optional>

#include "plait/core/clock.hpp"
#include "plait/coroutines/child.hpp"
#include "plait/coroutines/timer.hpp"

namespace plait {
namespace detail {

// One operand that is stopped when its time is up, whoever measures that.
class bounded_base : public child_owner {
 public:
  void visit_children(flow_visitor& visitor) const final { visitor.visit(operand_->flow()); }

 protected:
  bounded_base() = default;
  ~bounded_base() = default;
  void start(child_base& operand) noexcept {
    operand_ = &operand;
    operand.start();
  }
  void time_is_up() noexcept {
    fired_ = true;
    operand_->request_stop();
  }
  bool fired() const noexcept { return fired_; }
  // Whether `error` is the stop that this deadline caused, and not one from outside.
  bool caused(const std::exception_ptr& error) const noexcept;
  [[noreturn]] static void throw_timeout(duration after);

 private:
  void stop() noexcept final { operand_->request_stop(); }
  child_base* operand_ = nullptr;
  bool fired_ = false;
};

// By a span that counts from the await.
class timeout_base : public bounded_base, private timer {
 public:
  std::string waits_for() const final;

 protected:
  using bound_type = duration;
  explicit timeout_base(duration span) noexcept : span_(span) {}
  ~timeout_base() = default;
  void begin(child_base& operand) noexcept;
  // Rethrows `error`, as timeout_error if this deadline caused it.
  [[noreturn]] void rethrow(std::exception_ptr error) const;
  duration bound() const noexcept { return span_; }

 private:
  void expired() noexcept final { time_is_up(); }
  void child_ended(child_base&) noexcept final;
  duration span_;
};

// Base knows the deadline: timeout_base, or deadline_base (deadline.hpp).
template <class T, class Base>
class timeout_awaiter : public Base {
 public:
  timeout_awaiter(typename Base::bound_type time, task<T> operand) noexcept
      : Base(time), task_(std::move(operand)) {}
  timeout_awaiter(timeout_awaiter&& other) noexcept  // before awaiting
      : Base(other.bound()), task_(std::move(other.task_)) {}

  bool await_ready() const noexcept { return false; }
  template <flow_promise P>
  bool await_suspend(std::coroutine_handle<P> frame) {
    if (!this->suspend(frame)) return false;
    child_.emplace(*this, this->flow(), std::move(task_));
    this->begin(*child_);
    return true;
  }

 protected:
  ~timeout_awaiter() = default;
  std::optional<child<T>> child_;

 private:
  task<T> task_;
};

template <class T, class Base = timeout_base>
class timeout_thrower final : public timeout_awaiter<T, Base> {
 public:
  using timeout_awaiter<T, Base>::timeout_awaiter;
  T await_resume() {
    this->check();
    if (auto error = this->child_->error(); error != nullptr) [[unlikely]]
      this->rethrow(std::move(error));
    return this->child_->take();
  }
};

// Until `when`, by the clock of the loop that runs on this thread.
duration time_until(time_point when);

}  // namespace detail

// The operand is a task or any other awaitable. A span of zero or less still starts it.
template <class Rep, class Period, class Awaitable>
[[nodiscard]] auto timeout(const std::chrono::duration<Rep, Period>& span, Awaitable awaitable) {
  return detail::timeout_thrower<detail::awaited_value<Awaitable>>(
      detail::to_duration(span), detail::to_task(std::move(awaitable)));
}
// The same with a point in time, as the loop's clock (event_loop::now()) tells it.
template <class Awaitable>
[[nodiscard]] auto timeout_at(time_point when, Awaitable awaitable) {
  return timeout(detail::time_until(when), std::move(awaitable));
}

}  // namespace plait

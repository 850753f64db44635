// plait/coroutines/timeout.hpp: a deadline for an awaitable.
//
//   auto page = co_await plait::timeout(5s, session.get(url));
//
// Stops:    when the time is up the operand is stopped and waited for, then timeout_error is
//           thrown. An operand that finishes all the same keeps its result. A stop from outside is
//           passed on and is not a timeout: the operand's cancelled_error goes through.
// Throws:   timeout_error, or what the operand throws.
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

class timeout_base : public child_owner, private timer {
 public:
  std::string waits_for() const final;
  void visit_children(flow_visitor& visitor) const final { visitor.visit(operand_->flow()); }

 protected:
  explicit timeout_base(duration span) noexcept : span_(span) {}
  ~timeout_base() = default;
  void begin(child_base& operand) noexcept;
  // Rethrows `error`, as timeout_error if it is the stop that the deadline caused.
  [[noreturn]] void rethrow(std::exception_ptr error) const;

 private:
  void expired() noexcept final;
  void stop() noexcept final;
  void child_ended(child_base&) noexcept final;
  duration span_;
  child_base* operand_ = nullptr;
  bool fired_ = false;
};

template <class T>
class timeout_awaiter final : public timeout_base {
 public:
  timeout_awaiter(duration span, task<T> operand) noexcept
      : timeout_base(span), task_(std::move(operand)), span_(span) {}
  timeout_awaiter(timeout_awaiter&& other) noexcept  // before awaiting
      : timeout_base(other.span_), task_(std::move(other.task_)), span_(other.span_) {}

  bool await_ready() const noexcept { return false; }
  template <flow_promise P>
  bool await_suspend(std::coroutine_handle<P> frame) {
    if (!suspend(frame)) return false;
    child_.emplace(*this, flow(), std::move(task_));
    begin(*child_);
    return true;
  }
  T await_resume() {
    check();
    if (auto error = child_->error(); error != nullptr) [[unlikely]]
      rethrow(std::move(error));
    return child_->take();
  }

 private:
  task<T> task_;
  duration span_;
  std::optional<child<T>> child_;
};

}  // namespace detail

// The operand is a task or any other awaitable. A span of zero or less still starts it.
template <class Rep, class Period, class Awaitable>
[[nodiscard]] auto timeout(const std::chrono::duration<Rep, Period>& span, Awaitable awaitable) {
  using value = std::decay_t<detail::await_result<Awaitable>>;
  return detail::timeout_awaiter<value>(detail::to_duration(span),
                                        detail::to_task(std::move(awaitable)));
}

}  // namespace plait

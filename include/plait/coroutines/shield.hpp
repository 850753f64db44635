// plait/coroutines/shield.hpp: work that a stop does not interrupt, and clean-up that always runs.
//
//   co_await plait::shield(journal.commit());
//   co_await plait::finally(use(connection), [&] { return connection.say_goodbye(); });
//
// A stop from outside waits until the shielded work has ended, and takes effect at the next await
// after it: trio's shield, not asyncio's, which would leave the work running behind. Work that might
// take for ever wants a deadline inside: shield(timeout(5s, goodbye())).
//
// C++ allows no co_await in a catch block, nor in a destructor: finally() is the place for clean-up
// that has to wait.
//
// Stops:    the shielded work sees none from outside; timeouts and groups inside it work as ever.
// Throws:   what the operand throws.
// Cost:     one context; no allocation when the operand is a task.
#pragma once

#include <coroutine>
#include <optional>

#include "plait/coroutines/child.hpp"
#include "plait/coroutines/settled.hpp"

namespace plait {
namespace detail {

template <class T>
class shield_awaiter final : public child_owner {
 public:
  explicit shield_awaiter(task<T> operand) noexcept : task_(std::move(operand)) {}
  shield_awaiter(shield_awaiter&& other) noexcept : task_(std::move(other.task_)) {}

  bool await_ready() const noexcept { return false; }
  template <flow_promise P>
  void await_suspend(std::coroutine_handle<P> frame) {
    suspend_always(frame);
    child_.emplace(*this, flow(), std::move(task_));
    child_->start();
  }
  T await_resume() { return child_->take(); }

  std::string waits_for() const override { return "what is shielded from stops"; }
  bool ends_from_within() const noexcept override { return true; }
  void visit_children(flow_visitor& visitor) const override { visitor.visit(child_->flow()); }

 private:
  void child_ended(child_base&) noexcept override { resume_next(); }
  void stop() noexcept override {}
  task<T> task_;
  std::optional<child<T>> child_;
};

}  // namespace detail

// The operand is a task or any other awaitable. It runs even if the calling task is stopping.
template <class Awaitable>
[[nodiscard]] auto shield(Awaitable awaitable) {
  return detail::shield_awaiter<detail::awaited_value<Awaitable>>(
      detail::to_task(std::move(awaitable)));
}

// Awaits `work`, then, however that ended, what `clean_up()` returns, under a shield; gives or
// throws what `work` did. If the clean-up fails, its exception is thrown; that of the work, if it
// had failed too, goes to the unhandled-exception handler.
template <class Awaitable, class CleanUp>
[[nodiscard]] task<detail::awaited_value<Awaitable>> finally(Awaitable work, CleanUp clean_up) {
  auto result = co_await detail::settle_with_stops(std::move(work));
  auto cleaned = co_await detail::settle_with_stops(shield(clean_up()));
  if (!cleaned.has_value()) {
    if (!result.has_value() && !result.cancelled())
      detail::report_unhandled(result.error(), "work whose clean-up failed as well");
    std::rethrow_exception(cleaned.error());
  }
  co_return std::move(result).value();
}

}  // namespace plait

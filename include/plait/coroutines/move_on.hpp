// plait/coroutines/move_on.hpp: a deadline after which the program goes on without a result.
//
//   std::optional<page> page = co_await plait::move_on_after(200ms, cache.get(key));
//   if (!co_await plait::move_on_after(5s, flush())) log("gave up flushing");
//
// trio's move_on_after. As timeout() in all but how it tells: nothing for its own deadline, while a
// deadline or a stop from outside goes through.
//
// Stops:    when the time is up the operand is stopped and waited for. An operand that finishes all
//           the same keeps its result.
// Throws:   what the operand throws.
// Cost:     as timeout().
#pragma once

#include <optional>

#include "plait/coroutines/timeout.hpp"

namespace plait {
namespace detail {

template <class T, class Base = timeout_base>
class move_on_awaiter final : public timeout_awaiter<T, Base> {
 public:
  using timeout_awaiter<T, Base>::timeout_awaiter;
  std::conditional_t<std::is_void_v<T>, bool, std::optional<stored<T>>> await_resume() {
    this->check();
    if (auto error = this->child_->error(); error != nullptr) {
      if (!this->caused(error)) std::rethrow_exception(std::move(error));
      return {};
    }
    if constexpr (std::is_void_v<T>) {
      return true;
    } else {
      return this->child_->take();
    }
  }
};

}  // namespace detail

// co_await gives the operand's value, or nothing when the time was up; for an operand without a
// value, whether it ended in time.
template <class Rep, class Period, class Awaitable>
[[nodiscard]] auto move_on_after(const std::chrono::duration<Rep, Period>& span,
                                 Awaitable awaitable) {
  return detail::move_on_awaiter<detail::awaited_value<Awaitable>>(
      detail::to_duration(span), detail::to_task(std::move(awaitable)));
}
// The same with a point in time, as the loop's clock (event_loop::now()) tells it.
template <class Awaitable>
[[nodiscard]] auto move_on_at(time_point when, Awaitable awaitable) {
  return move_on_after(detail::time_until(when), std::move(awaitable));
}

}  // namespace plait

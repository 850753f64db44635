// plait/coroutines/settled.hpp: how something ended, as a value: a result or an exception.
//
//   for (auto& page : co_await plait::gather_settled(std::move(fetches)))
//     page ? show(page.value()) : log(page.error());
//
// asyncio's gather(return_exceptions=True), without mixing exceptions with results.
//
// Threads:  as gather().
// Stops:    a stop of the awaiting task stops every child, waits for them, and is thrown as
//           cancelled_error, unless all children finished despite it. What settles is what happened
//           to the children, not what happens to the task that awaits them.
// Cost:     as gather(), and one more frame a child.
#pragma once

#include <exception>
#include <optional>
#include <utility>
#include <vector>

#include "plait/coroutines/gather.hpp"

namespace plait {

template <class T>
class settled {
 public:
  template <class... Args>
  requires std::is_constructible_v<detail::stored<T>, Args...>
  explicit settled(std::in_place_t, Args&&... args) : value_(std::forward<Args>(args)...) {}
  explicit settled(std::exception_ptr error) noexcept : error_(std::move(error)) {}

  bool has_value() const noexcept { return error_ == nullptr; }
  explicit operator bool() const noexcept { return has_value(); }
  // The value, or throws what there is instead.
  std::conditional_t<std::is_void_v<T>, void, const detail::stored<T>&> value() const& {
    check();
    if constexpr (!std::is_void_v<T>) return *value_;
  }
  T value() && {
    check();
    if constexpr (!std::is_void_v<T>) return std::move(*value_);
  }
  // Null for a value.
  const std::exception_ptr& error() const noexcept { return error_; }
  // True if it ended with cancelled_error.
  bool cancelled() const noexcept;

 private:
  void check() const {
    if (error_ != nullptr) std::rethrow_exception(error_);
  }
  std::optional<detail::stored<T>> value_;
  std::exception_ptr error_;
};

namespace detail {

bool is_cancellation(const std::exception_ptr& error) noexcept;

// Also a cancelled_error that is the calling task's own stop.
template <class Awaitable>
task<settled<awaited_value<Awaitable>>> settle_with_stops(Awaitable awaitable) {
  using result = settled<awaited_value<Awaitable>>;
  std::exception_ptr error;
  try {
    if constexpr (std::is_void_v<awaited_value<Awaitable>>) {
      co_await std::move(awaitable);
      co_return result(std::in_place);
    } else {
      co_return result(std::in_place, co_await std::move(awaitable));
    }
  } catch (...) {
    error = std::current_exception();
  }
  co_return result(std::move(error));
}

}  // namespace detail

template <class T>
bool settled<T>::cancelled() const noexcept {
  return error_ != nullptr && detail::is_cancellation(error_);
}

// How the awaitable ends. If the calling task itself is asked to stop and the awaitable ends with
// cancelled_error, that is thrown, since the task has to end.
template <class Awaitable>
[[nodiscard]] task<settled<detail::awaited_value<Awaitable>>> settle(Awaitable awaitable) {
  auto result = co_await detail::settle_with_stops(std::move(awaitable));
  if (result.cancelled() && detail::context::running()->stopping())
    std::rethrow_exception(result.error());
  co_return result;
}

// All of `tasks`, whatever becomes of them; in their order.
template <class T>
[[nodiscard]] auto gather_settled(std::vector<task<T>> tasks) {
  std::vector<task<settled<T>>> settling;
  settling.reserve(tasks.size());
  for (auto& t : tasks) settling.push_back(settle(std::move(t)));
  return gather(std::move(settling));
}

// All operands, each a task or any other awaitable, as a tuple of settled<...>.
template <class... Awaitables>
[[nodiscard]] auto gather_settled(Awaitables... awaitables) {
  return gather(settle(std::move(awaitables))...);
}

}  // namespace plait

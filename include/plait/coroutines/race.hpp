// plait/coroutines/race.hpp: the first of several to succeed.
//
//   auto answer = co_await plait::race(ask(primary), ask(replica));
//
// The first operand that ends without an exception wins; the others are stopped and waited for. An
// operand that fails only leaves the race; when all have failed, an exception_group has all the
// reasons. (For the first to end, well or badly, race the settled: race(settle(a), settle(b)).)
//
// Threads:  the operands run on the awaiting task's loop, interleaved.
// Stops:    a stop of the awaiting task stops every operand, then waits for them. One that succeeds
//           all the same has won.
// Throws:   exception_group; cancelled_error when stopped; invalid_state for a race of no tasks.
//           What the losers throw, before or after they are stopped, is dropped: not to need them is
//           what a race is for.
// Cost:     about 100 bytes an operand beside its frame.
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <utility>
#include <variant>
#include <vector>

#include "plait/coroutines/child.hpp"

namespace plait {
namespace detail {

class race_base : public child_owner {
 public:
  std::string waits_for() const final;
  bool ends_from_within() const noexcept final { return true; }

 protected:
  race_base() = default;
  ~race_base() = default;
  void expect(std::size_t operands);
  // An operand has ended; null for a success. Returns true for the winner.
  bool note_end(std::exception_ptr error) noexcept;
  bool over() noexcept { return --remaining_ == 0; }
  // Throws if nobody has won.
  void check_won();

 private:
  std::vector<std::exception_ptr> failures_;
  std::size_t remaining_ = 0;
  bool won_ = false;
};

template <class T>
class race_awaiter final : public race_base {
 public:
  explicit race_awaiter(std::vector<task<T>> tasks) : tasks_(std::move(tasks)) {}
  race_awaiter(race_awaiter&& other) noexcept : tasks_(std::move(other.tasks_)) {}

  bool await_ready() const noexcept { return false; }
  template <flow_promise P>
  bool await_suspend(std::coroutine_handle<P> frame) {
    expect(tasks_.size());
    children_.reserve(tasks_.size());
    if (!suspend(frame)) return false;
    children_.adopt(*this, flow(), tasks_);
    return true;
  }
  T await_resume() {
    check();
    check_won();
    return winner_->take();
  }

  void visit_children(flow_visitor& visitor) const override { children_.visit(visitor); }

 private:
  void child_ended(child_base& ended) noexcept override {
    auto& c = static_cast<child<T>&>(ended);
    if (note_end(c.error())) {
      winner_ = &c;
      children_.stop();
    }
    if (over()) resume_next();
  }
  void stop() noexcept override { children_.stop(); }
  std::vector<task<T>> tasks_;
  child_array<T> children_;
  child<T>* winner_ = nullptr;
};

template <std::size_t I, class Variant, class T>
task<Variant> as_alternative(task<T> t) {
  if constexpr (std::is_void_v<T>) {
    co_await std::move(t);
    co_return Variant(std::in_place_index<I>);
  } else {
    co_return Variant(std::in_place_index<I>, co_await std::move(t));
  }
}

template <class... Ts>
auto race_of_alternatives(task<Ts>... operands) {
  using result = std::variant<stored<Ts>...>;
  std::vector<task<result>> tasks;
  tasks.reserve(sizeof...(Ts));
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (tasks.push_back(as_alternative<I, result>(std::move(operands))), ...);
  }
  (std::index_sequence_for<Ts...>());
  return race_awaiter<result>(std::move(tasks));
}

}  // namespace detail

// The winner's result.
template <class T>
[[nodiscard]] auto race(std::vector<task<T>> tasks) {
  return detail::race_awaiter<T>(std::move(tasks));
}

// Each operand is a task or any other awaitable. The winner's result if all are of one type; else a
// std::variant whose index() is the winner's position, with an empty struct for a void.
template <class First, class... Others>
[[nodiscard]] auto race(First first, Others... others) {
  using T = detail::awaited_value<First>;
  if constexpr ((std::is_same_v<T, detail::awaited_value<Others>> && ...)) {
    std::vector<task<T>> tasks;
    tasks.reserve(1 + sizeof...(Others));
    tasks.push_back(detail::to_task(std::move(first)));
    (tasks.push_back(detail::to_task(std::move(others))), ...);
    return detail::race_awaiter<T>(std::move(tasks));
  } else {
    return detail::race_of_alternatives(detail::to_task(std::move(first)),
                                        detail::to_task(std::move(others))...);
  }
}

}  // namespace plait

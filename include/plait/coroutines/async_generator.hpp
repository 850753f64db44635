// plait/coroutines/async_generator.hpp: a coroutine that gives values one by one, and may wait
// between them.
//
//   plait::async_generator<std::string> lines(buffered_reader& from) {
//     while (auto line = co_await from.read_line()) co_yield std::move(*line);
//   }
//   auto all = lines(reader);
//   while (std::string* line = co_await all.next()) use(*line);
//
// It runs only while somebody waits for the next value, as a part of that flow: its name, its stop,
// its deadlines. So no queue is needed, and nothing runs ahead.
//
// What Python's PEP 789 warns of cannot be written here: scopes such as timeout() and
// with_task_group() await another coroutine, which cannot co_yield for this one. What an object holds
// over a co_yield, a lock or a semaphore's permit, it holds while the consumer does as it likes.
//
// Threads:  one loop's. One flow at a time may wait in next().
// Stops:    reach what the generator waits for, as in a task. An unfinished generator that is
//           destroyed runs the destructors of what it has open, there and then. Clean-up that has to
//           wait belongs to whoever consumes it: finally().
// Throws:   next() throws what the generator throws, once; after that it is at its end. invalid_state
//           if a flow waits in next() already.
// Cost:     one frame from the block cache; about as much for each value as switching to a task and
//           back, without an allocation.
// Types:    any object; a struct that owns memory needs a constructor (GCC 12 destroys the members of
//           a temporary without one twice; that is a compile error here).
// Depth:    values pass through the loop's trampoline and never nest on the stack.
#pragma once

#include <coroutine>
#include <optional>
#include <type_traits>
#include <utility>

#include "plait/core/errors.hpp"
#include "plait/coroutines/task.hpp"

namespace plait {

template <class T>
class async_generator;

namespace detail {

template <class T>
class generator_promise final : public task_promise_base {
 public:
  async_generator<T> get_return_object() noexcept;
  void return_void() const noexcept {}
  // Suspends as a task does that has ended, so that the consumer runs on.
  template <class U = T>
  requires std::is_constructible_v<T, U&&> final_awaiter yield_value(U&& value) {
    static_assert(std::is_lvalue_reference_v<U> || !std::is_aggregate_v<std::remove_cvref_t<U>> ||
                      std::is_trivially_destructible_v<std::remove_cvref_t<U>>,
                  "co_yield of an aggregate that owns something: give it a constructor, for GCC 12 "
                  "destroys the members of such a temporary twice");
    value_.emplace(std::forward<U>(value));
    return {};
  }

  void forget() noexcept { value_.reset(); }
  T* value() noexcept { return value_ ? value_.operator->() : nullptr; }
  bool running = false;

 private:
  std::optional<T> value_;
};

}  // namespace detail

template <class T>
class [[nodiscard]] async_generator {
  static_assert(std::is_object_v<T> && !std::is_const_v<T>,
                "async_generator<T>: T is a plain type");

 public:
  using promise_type = detail::generator_promise<T>;
  using value_type = T;

  async_generator(async_generator&& other) noexcept
      : frame_(std::exchange(other.frame_, nullptr)) {}
  async_generator& operator=(async_generator other) noexcept {
    std::swap(frame_, other.frame_);
    return *this;
  }
  ~async_generator() {
    if (frame_ != nullptr) frame_.destroy();
  }

  // co_await gives a pointer to the next value, which lives until the next call and may be moved
  // from, or null at the end.
  class [[nodiscard]] next_awaiter;
  next_awaiter next() noexcept { return next_awaiter(frame_); }

 private:
  friend promise_type;
  using handle = std::coroutine_handle<promise_type>;
  explicit async_generator(handle frame) noexcept : frame_(frame) {}
  handle frame_;
};

template <class T>
class async_generator<T>::next_awaiter {
 public:
  bool await_ready() const noexcept { return frame_ == nullptr || frame_.done(); }
  template <detail::flow_promise P>
  void await_suspend(std::coroutine_handle<P> parent) const {
    promise_type& promise = frame_.promise();
    if (promise.running) throw invalid_state("another flow waits for this generator's next value");
    promise.running = true;
    promise.forget();
    promise.flow = parent.promise().flow;
    promise.continue_with(parent);
    promise.flow->queue().next = frame_;
  }
  T* await_resume() const {
    if (frame_ == nullptr) return nullptr;
    promise_type& promise = frame_.promise();
    promise.running = false;
    if (!frame_.done()) return promise.value();
    promise.forget();
    if (auto error = std::exchange(promise.error(), nullptr)) std::rethrow_exception(error);
    return nullptr;
  }

 private:
  friend async_generator;
  explicit next_awaiter(handle frame) noexcept : frame_(frame) {}
  handle frame_;
};

namespace detail {

template <class T>
async_generator<T> generator_promise<T>::get_return_object() noexcept {
  return async_generator<T>(std::coroutine_handle<generator_promise>::from_promise(*this));
}

}  // namespace detail
}  // namespace plait

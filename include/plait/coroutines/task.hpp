// plait/coroutines/task.hpp: a lazy coroutine, awaited once.
//
//   plait::task<int> answer() { co_return 42; }
//   int n = co_await answer();        // inside another task
//   int n = plait::run(answer());     // outside
//
// A task does nothing until it is awaited, run or submitted; one that never is, is destroyed.
//
// Threads:  a task runs on the thread of the loop it was started on, and only there.
// Stops:    see context.hpp; the flow's stop reaches the innermost await.
// Throws:   co_await rethrows what the coroutine threw.
// Cost:     the frame, from the block cache; about 10 ns to create, await and destroy.
// Depth:    unbounded: a child begins on its parent's stack, but only for the first 16 KiB of it;
//           after that, and for what was suspended, the loop's trampoline resumes one frame after
//           the other (GCC 12 makes symmetric transfer a real call at -O0 and under sanitizers).
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <type_traits>
#include <utility>

#include "plait/core/block_cache.hpp"
#include "plait/core/state.hpp"
#include "plait/coroutines/context.hpp"

namespace plait {

template <class T = void>
class task;

namespace detail {

// A gathered or spawned task: as a job it begins, and it hears of the end of its coroutine, which is
// nobody's operand.
struct completion : job {
  // Called once at the end of the frame, on the loop; may destroy the frame.
  virtual void completed() noexcept = 0;

 protected:
  ~completion() = default;
};

// The code of a suspended coroutine: an address inside its function.
inline const void* code_of_frame(const void* frame) noexcept {
  return frame != nullptr ? *static_cast<const void* const*>(frame) : nullptr;
}

// The frame that continues, or the completion that hears of it, when a task ends.
class task_promise_base : public promise_base {
 public:
  static void* operator new(std::size_t bytes) { return block_cache::allocate(bytes); }
  static void operator delete(void* block, std::size_t bytes) noexcept {
    block_cache::free(block, bytes);
  }

  std::suspend_always initial_suspend() const noexcept { return {}; }
  struct final_awaiter {
    bool await_ready() const noexcept { return false; }
    template <class P>
    void await_suspend(std::coroutine_handle<P> frame) const noexcept {
      frame.promise().ended();
    }
    void await_resume() const noexcept {}
  };
  final_awaiter final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { error_ = std::current_exception(); }

  template <class P>
  void continue_with(std::coroutine_handle<P> parent) noexcept {
    then_ =
        reinterpret_cast<std::uintptr_t>(parent.address()) | (is_linked_frame<P> ? 0 : is_unlinked);
  }
  // The same while the parent is below on this thread's stack, and looks when we return.
  template <class P>
  void return_to(std::coroutine_handle<P> parent) noexcept {
    continue_with(parent);
    then_ |= is_below;
  }
  void continue_with(completion& c) noexcept {
    then_ = reinterpret_cast<std::uintptr_t>(&c) | is_completion;
  }
  std::exception_ptr& error() noexcept { return error_; }

  // Who awaits: for those who look inside. `frame` is null at the outermost coroutine of a flow.
  static constexpr bool is_linked = true;
  struct link {
    const void* frame;
    bool linked;  // is_linked_frame of it
  };
  link awaited_by() const noexcept {
    if (then_ & is_completion) return {nullptr, false};
    return {reinterpret_cast<const void*>(then_ & ~tags), (then_ & is_unlinked) == 0};
  }

 protected:
  task_promise_base() = default;
  ~task_promise_base() = default;

 private:
  static constexpr std::uintptr_t is_completion = 1;  // frames and objects are aligned
  static constexpr std::uintptr_t is_unlinked = 2;
  static constexpr std::uintptr_t is_below = 4;
  static constexpr std::uintptr_t tags = is_unlinked | is_below;
  void ended() noexcept {
    if (then_ & is_below) return;
    if (then_ & is_completion) {
      reinterpret_cast<completion*>(then_ - is_completion)->completed();
    } else {
      flow->queue().next =
          std::coroutine_handle<>::from_address(reinterpret_cast<void*>(then_ & ~tags));
    }
  }
  std::uintptr_t then_ = 0;
  std::exception_ptr error_;
};

template <class T>
class task_promise final : public task_promise_base {
 public:
  task_promise() noexcept {}
  ~task_promise() {
    if (constructed_) value_.~T();
  }
  task<T> get_return_object() noexcept;
  template <class U = T>
  requires std::is_constructible_v<T, U&&>
  void return_value(U&& value) noexcept(std::is_nothrow_constructible_v<T, U&&>) {
    ::new (static_cast<void*>(&value_)) T(std::forward<U>(value));
    constructed_ = true;
  }
  T take() {
    if (!constructed_) [[unlikely]]
      std::rethrow_exception(error());
    return std::move(value_);
  }
  // Once it has ended without an error().
  T& value() noexcept { return value_; }

 private:
  bool constructed_ = false;
  union {
    T value_;
  };
};

template <>
class task_promise<void> final : public task_promise_base {
 public:
  task<void> get_return_object() noexcept;
  void return_void() const noexcept {}
  void take() {
    if (error() != nullptr) [[unlikely]]
      std::rethrow_exception(error());
  }
};

}  // namespace detail

template <class T>
class [[nodiscard]] task {
 public:
  using promise_type = detail::task_promise<T>;
  using value_type = T;
  using handle = std::coroutine_handle<promise_type>;

  task(task&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  task& operator=(task other) noexcept {
    std::swap(frame_, other.frame_);
    return *this;
  }
  ~task() {
    if (frame_ != nullptr) frame_.destroy();
  }

  // Awaited as an rvalue: co_await f(), or co_await std::move(t).
  auto operator co_await() && noexcept { return awaiter{frame_}; }

  // For the engines: gives up or lends the frame.
  handle release() noexcept { return std::exchange(frame_, nullptr); }
  handle frame() const noexcept { return frame_; }

 private:
  friend promise_type;
  explicit task(handle frame) noexcept : frame_(frame) {}

  struct awaiter {
    handle child;
    bool await_ready() const noexcept { return false; }
    // The child begins on top of its parent, as a call does, while there is stack left for that; if
    // it has ended when it returns, the parent has not even been suspended.
    template <detail::flow_promise P>
    bool await_suspend(std::coroutine_handle<P> parent) const noexcept {
      auto& promise = child.promise();
      promise.flow = parent.promise().flow;
      auto& queue = promise.flow->queue();
      if (queue.has_stack_left()) [[likely]] {
        promise.return_to(parent);
        child.resume();
        if (child.done()) return false;
      } else {
        queue.next = child;
      }
      promise.continue_with(parent);
      return true;
    }
    T await_resume() const { return child.promise().take(); }
  };
  handle frame_;
};

namespace detail {

template <class T>
task<T> task_promise<T>::get_return_object() noexcept {
  return task<T>(std::coroutine_handle<task_promise>::from_promise(*this));
}
inline task<void> task_promise<void>::get_return_object() noexcept {
  return task<void>(std::coroutine_handle<task_promise>::from_promise(*this));
}

template <class T>
struct task_value {};
template <class T>
struct task_value<task<T>> {
  using type = T;
};
template <class T>
concept is_task = requires {
  typename task_value<std::decay_t<T>>::type;
};

// What `co_await std::declval<A>()` gives.
template <class A>
decltype(auto) awaiter_of(A&& awaitable) {
  if constexpr (requires { std::forward<A>(awaitable).operator co_await(); }) {
    return std::forward<A>(awaitable).operator co_await();
  } else if constexpr (requires { operator co_await(std::forward<A>(awaitable)); }) {
    return operator co_await(std::forward<A>(awaitable));
  } else {
    return std::forward<A>(awaitable);
  }
}
template <class A>
using await_result = decltype(awaiter_of(std::declval<A>()).await_resume());
template <class A>
using awaited_value = std::decay_t<await_result<A>>;

// Any awaitable as a task, so that it can be started beside others.
template <class A>
task<awaited_value<A>> to_task(A awaitable) {
  co_return co_await std::move(awaitable);
}
template <class T>
task<T> to_task(task<T> t) {
  return t;
}

}  // namespace detail
}  // namespace plait

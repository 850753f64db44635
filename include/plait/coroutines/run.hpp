// plait/coroutines/run.hpp: from a program without a loop into one with, and threads from a loop.
#pragma once

#include "plait/coroutines/await_future.hpp"
#include "plait/coroutines/event_loop.hpp"
#include "plait/threads/thread_pool_executor.hpp"

namespace plait {

// Makes a loop on this thread, runs the task to its end, and gives its result or throws what it
// threw. Tasks that it spawned and left behind are stopped and waited for, as asyncio.run does.
// Throws would_deadlock on a thread where a loop runs already.
template <class T>
[[gnu::always_inline]] inline T run(task<T> main, event_loop_options options = {}) {
  event_loop loop(options);
  return loop.run_until_complete(std::move(main));
}

// Starts a task beside the calling one, on its loop. The future awaits, cancels or ignores it; an
// exception that nobody retrieves goes to the handler.
template <class T>
[[gnu::always_inline]] inline future<T> spawn(task<T> t, task_options options = {}) {
  return event_loop::current().spawn(std::move(t), options);
}

// Runs a blocking call on default_thread_pool(), so that the loop goes on meanwhile.
//   auto text = co_await plait::to_thread(read_file, path);
template <class F, class... Args>
[[gnu::always_inline]] inline auto to_thread(F&& f, Args&&... args) {
  return default_thread_pool().submit(std::forward<F>(f), std::forward<Args>(args)...);
}

namespace detail {
struct stop_token_awaiter {
  bool await_ready() const noexcept { return false; }
  template <flow_promise P>
  bool await_suspend(std::coroutine_handle<P> frame) {
    token = frame.promise().flow->stop_token();
    return false;
  }
  std::stop_token await_resume() noexcept { return std::move(token); }
  std::stop_token token{};
};
}  // namespace detail

// The calling task's stop, as a token to hand to threads and other libraries.
//   auto token = co_await plait::current_stop_token();
[[nodiscard]] inline auto current_stop_token() noexcept { return detail::stop_token_awaiter{}; }

}  // namespace plait

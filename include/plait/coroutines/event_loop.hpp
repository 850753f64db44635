// plait/coroutines/event_loop.hpp: one thread that runs many tasks, timers and sockets.
//
// The loop alone owns time and file descriptors. plait::run(task) makes one and runs it to the end
// of the task; a program that wants a loop beside its threads makes an event_loop, calls run() on a
// thread of its own, and submits to it from anywhere.
//
// Threads:  submit, map, spawn, shutdown and deliver may be called from any thread; the rest belongs
//           to the thread in run().
// Blocks:   run() until shutdown(); nothing else. A blocking get() on the loop's own thread throws
//           would_deadlock: co_await the future instead.
// Stops:    future::cancel() of a submitted task stops its innermost await.
// Throws:   executor_shutdown after shutdown(); std::system_error if the kernel has no descriptors
//           left for a loop (it needs two).
// Cost:     submit from the loop's thread: one allocation and the frame, no system call; from
//           another thread one more atomic, and a wake-up if the loop sleeps. Idle: 0 % CPU.
// Example:  examples/coroutines/fetch_all.cpp
#pragma once

#include <cstddef>
#include <string_view>
#include <utility>

#include "plait/core/clock.hpp"
#include "plait/core/executor.hpp"
#include "plait/coroutines/context.hpp"
#include "plait/coroutines/schedule.hpp"
#include "plait/coroutines/spawned_call.hpp"
#include "plait/coroutines/task.hpp"

namespace plait {

// The kernel interface by which a loop waits. automatic: epoll, unless the environment variable
// PLAIT_POLLER says io_uring. io_uring: epoll all the same where the kernel refuses a ring.
enum class poller_kind { automatic, epoll, io_uring };

struct event_loop_options {
  // Whose time sleeps and timeouts mean; must outlive the loop.
  plait::clock* clock = &plait::clock::real();
  poller_kind poller = poller_kind::automatic;
  // Who chooses what runs next; null: what has been ready longest. Must outlive the loop.
  plait::schedule* schedule = nullptr;
  // How long one task may run without a pause before it is reported (inspect/stall.hpp); 0: never.
  duration stall_after = duration::zero();
};

namespace detail {

struct loop_core;
struct timer;
class readiness;
class io_operation;

}  // namespace detail

class event_loop final : public local_executor, private detail::blocking_policy {
 public:
  explicit event_loop(event_loop_options options = {});
  // shutdown(cancel) if that has not been done; runs what is left to its end on this thread.
  ~event_loop() override;

  // Runs tasks until shutdown() was called and every task has ended; again after that: nothing.
  // Throws would_deadlock, as run_until_complete does, inside a loop that runs on this thread.
  void run();
  // Starts the task on this loop and runs it until it ends.
  template <class T>
  [[gnu::always_inline]] T run_until_complete(task<T> t);

  // As every executor's. If f is a coroutine function (it returns a task), the future is that of
  // the task's result, and f and args live as long as the task runs.
  template <class F, class... Args>
  [[gnu::always_inline]] auto submit(F&& f, Args&&... args);
  // Starts a task; its future is the way to await it, cancel it, or learn how it ended.
  template <class T>
  [[gnu::always_inline]] future<T> spawn(task<T> t, task_options options = {});
  // submit and map, with more to say of the calls:
  //   loop.with({.name = "listener"}).submit(listen, port);
  class configured;
  configured with(call_options options) noexcept;

  // Takes no further submissions; then run() returns when the tasks that were submitted have ended.
  // With pending_calls::cancel those that have not begun are cancelled, the others and whatever
  // they still spawn are asked to stop. Does not wait.
  void shutdown(shutdown_options options = {});

  // The loop whose run() is on the calling thread's stack. Throws invalid_state if there is none.
  static event_loop& current();
  static event_loop* current_or_null() noexcept;

  plait::clock& clock() const noexcept;
  poller_kind poller() const noexcept;  // which interface the loop got
  // The loop's time: read once a turn, so that what happens in one turn happens at one time.
  time_point now() const noexcept {
    return queue_.now != detail::loop_queue::unknown ? queue_.now : read_clock();
  }

  // For what is under way already: gives the loop a job to run, from any thread, until the loop
  // has ended; then false.
  bool deliver(detail::job& job) noexcept;

 protected:
  admission admit(detail::job& job, const call_options& options) noexcept override;
  std::size_t default_window() const noexcept override;

 private:
  friend class event_loop_group;
  friend detail::loop_core;
  friend detail::task_node;
  friend detail::spawned_task;
  friend detail::timer;
  friend detail::readiness;
  friend detail::io_operation;
  void before_block(const detail::state_base* awaited) override;
  static void check_may_run();  // throws would_deadlock inside a running loop
  void run_until(const detail::state_base& awaited);
  void run_to_the_end() noexcept;

  time_point read_clock() const noexcept;
  template <class F, class... Args>
  auto start(const void* where, std::string_view name, F&& f, Args&&... args);
  void enqueue(detail::completion& task) { hand_over(task, {}); }  // from another thread

  detail::loop_queue queue_{*this};
  detail::loop_core* core_;
};

template <class F, class... Args>
inline auto event_loop::submit(F&& f, Args&&... args) {
  using result = detail::call_result_t<F, Args...>;
  if constexpr (detail::is_task<result>) {
    return start(detail::here(), {}, std::forward<F>(f), std::forward<Args>(args)...);
  } else {
    return local_executor::submit(std::forward<F>(f), std::forward<Args>(args)...);
  }
}

template <class T>
inline future<T> event_loop::spawn(task<T> t, task_options options) {
  return start(detail::here(), options.name, detail::hand_over<T>{}, std::move(t));
}

template <class F, class... Args>
[[gnu::always_inline]] inline auto event_loop::start(const void* where, std::string_view name,
                                                     F&& f, Args&&... args) {
  using result = detail::call_result_t<F, Args...>;
  using call = detail::spawned_call<detail::spawned_task, std::decay_t<F>, std::decay_t<Args>...>;
  auto* spawned = new call(queue_, where, std::forward<F>(f), std::forward<Args>(args)...);
  const bool at_home = is_current();
  spawned->inherit(at_home ? queue_.running : nullptr, name);
  auto handle = detail::access::adopt<typename detail::task_value<result>::type>(spawned);
  if (at_home) [[likely]] {
    queue_.ready.push(*spawned);  // what admit() comes to on the loop's own thread
  } else {
    enqueue(*spawned);
  }
  return handle;
}

// submit and map with options, as every executor's; spawn needs none, it has task_options.
class event_loop::configured {
 public:
  template <class F, class... Args>
  [[gnu::always_inline]] auto submit(F&& f, Args&&... args) {
    using result = detail::call_result_t<F, Args...>;
    if constexpr (detail::is_task<result>) {
      const std::string_view name = options_.name != nullptr ? options_.name : "";
      return loop_.start(detail::here(), name, std::forward<F>(f), std::forward<Args>(args)...);
    } else {
      return loop_.local_executor::with(options_).submit(std::forward<F>(f),
                                                         std::forward<Args>(args)...);
    }
  }
  template <class F, class Range>
  [[gnu::always_inline]] auto map(F f, Range&& items, map_options options = {}) {
    return loop_.local_executor::with(options_).map(std::move(f), std::forward<Range>(items),
                                                    options);
  }
  template <class F, class Range, detail::iterable Other>
  [[gnu::always_inline]] auto map(F f, Range&& items, Other&& others, map_options options = {}) {
    return loop_.local_executor::with(options_).map(std::move(f), std::forward<Range>(items),
                                                    std::forward<Other>(others), options);
  }

 private:
  friend event_loop;
  configured(event_loop& loop, call_options o) noexcept : loop_(loop), options_(o) {}
  event_loop& loop_;
  call_options options_;
};
inline event_loop::configured event_loop::with(call_options options) noexcept {
  return {*this, options};
}

template <class T>
inline T event_loop::run_until_complete(task<T> t) {
  check_may_run();
  auto result = spawn(std::move(t));
  run_until(*detail::access::get(static_cast<const any_future&>(result)));
  return std::move(result).get();
}

}  // namespace plait

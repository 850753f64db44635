// plait/coroutines/event_loop.hpp: one thread that runs many tasks, timers and sockets.
//
// The loop alone owns time and file descriptors. plait::run(task) makes one and runs it to the end
// of the task; a program that wants a loop beside its threads makes an event_loop, calls run() on a
// thread of its own, and submits to it from anywhere.
//
// Threads:  submit, map, spawn, shutdown and deliver may be called from any thread; the rest
// belongs
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

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <exception>
#include <tuple>

#include "plait/core/clock.hpp"
#include "plait/core/executor.hpp"
#include "plait/coroutines/context.hpp"
#include "plait/coroutines/schedule.hpp"
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
};

namespace detail {

struct loop_core;
struct timer;
class readiness;
class io_operation;

// A task that was started by submit or spawn: one node of the loop's list of live tasks.
class spawned_task : public job, public completion {
 public:
  context& flow() noexcept { return flow_; }
  const context& flow() const noexcept { return flow_; }
  // The next in the loop's list of live tasks.
  spawned_task* next_live() const noexcept { return next_; }

 protected:
  explicit spawned_task(loop_queue& queue) noexcept : flow_(queue) {}
  ~spawned_task() = default;
  // On the loop: runs the frame up to its first suspension.
  void start(std::coroutine_handle<> frame, task_promise_base& promise) noexcept;
  void unlink() noexcept;

  // A stop from any thread travels as a job, at most one a task. Whoever wins begin_stop() posts it,
  // and until it has arrived the loop stays, even if the task has ended meanwhile.
  enum class stop_request : std::uint8_t { nobody, somebody, too_late };
  stop_request begin_stop() noexcept {  // returns what was there before
    auto before = stop_request::nobody;
    asked_.compare_exchange_strong(before, stop_request::somebody);
    return before;
  }
  bool stop_asked() const noexcept {
    return asked_.load(std::memory_order_relaxed) != stop_request::nobody;
  }
  void stop_arrived() noexcept;
  // On the loop, before the task is done.
  void refuse_stops() noexcept {
    if (asked_.exchange(stop_request::too_late) == stop_request::somebody && !stop_arrived_)
      expect_stop();
  }

 private:
  void expect_stop() noexcept;
  context flow_;
  spawned_task *previous_ = nullptr, *next_ = nullptr;
  std::atomic<stop_request> asked_{stop_request::nobody};
  bool stop_arrived_ = false;
};

template <class F, class... Args>
class spawned_call;

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
  T run_until_complete(task<T> t);

  // As every executor's. If f is a coroutine function (it returns a task), the future is that of
  // the task's result, and f and args live as long as the task runs.
  template <class F, class... Args>
  [[gnu::always_inline]] auto submit(F&& f, Args&&... args);
  // Starts a task; its future is the way to await it, cancel it, or learn how it ended.
  template <class T>
  [[gnu::always_inline]] future<T> spawn(task<T> t);

  // Takes no further submissions; then run() returns when the tasks that were submitted have ended.
  // With pending_calls::cancel those that have not begun are cancelled, the others and whatever
  // they still spawn are asked to stop. Does not wait.
  void shutdown(shutdown_options options = {});

  // The loop whose run() is on the calling thread's stack. Throws invalid_state if there is none.
  static event_loop& current();
  static event_loop* current_or_null() noexcept;

  plait::clock& clock() const noexcept;
  // Which interface the loop got.
  poller_kind poller() const noexcept;
  // The loop's time: read once a turn, so that what happens in one turn happens at one time.
  time_point now() const noexcept;

  // For what is under way already: gives the loop a job to run, from any thread, until the loop
  // has ended; then false.
  bool deliver(detail::job& job) noexcept;

 protected:
  admission admit(detail::job& job, const call_options& options) noexcept override;
  std::size_t default_window() const noexcept override;

 private:
  friend detail::loop_core;
  friend detail::spawned_task;
  friend detail::timer;
  friend detail::readiness;
  friend detail::io_operation;
  void before_block(const detail::state_base* awaited) override;
  static void check_may_run();  // throws would_deadlock inside a running loop
  void run_until(const detail::state_base& awaited);
  void run_to_the_end() noexcept;

  detail::loop_queue queue_{*this};
  detail::loop_core* core_;
};

namespace detail {

template <class F, class... Args>
class spawned_call final : public state<typename task_value<call_result_t<F, Args...>>::type>,
                           public spawned_task {
  using task_type = call_result_t<F, Args...>;
  using value = typename task_value<task_type>::type;

 public:
  template <class G, class... As>
  spawned_call(loop_queue& queue, const void* where, G&& f, As&&... args)
      : state<value>(1, where),
        spawned_task(queue),
        f_(std::forward<G>(f)),
        args_(std::forward<As>(args)...) {}

  void run() noexcept override {
    if (!this->try_claim_at_home()) return this->release();
    std::exception_ptr error;  // given on behind the handler, whose hold on it ends there
    try {
      if constexpr (takes_stop_token<F, Args...>) {
        frame_ = std::apply(f_, std::tuple_cat(std::tuple(flow().stop_token()), std::move(args_)))
                     .release();
      } else {
        frame_ = std::apply(f_, std::move(args_)).release();
      }
    } catch (...) {  // no memory for the frame, or an argument that cannot be moved
      error = std::current_exception();
    }
    if (error != nullptr) {
      refuse_stops();
      return this->finish_exception(std::move(error));
    }
    start(frame_, frame_.promise());
  }
  void drop() noexcept override {
    if (!this->try_claim()) return this->release();
    refuse_stops();
    this->finish(state_base::outcome::cancelled);
  }
  bool is_call() const noexcept override { return true; }
  bool completes_here() const noexcept override { return flow().loop().is_current(); }
  void completed() noexcept override {
    unlink();
    if (!this->is_private() || stop_asked()) refuse_stops();  // R7: nobody else could ask now
    auto& promise = frame_.promise();
    if (promise.error() != nullptr) {
      fail(std::move(promise.error()));
    } else if constexpr (std::is_void_v<value>) {
      frame_.destroy();
      this->finish_value();
    } else {
      std::exception_ptr error;
      try {
        value result = promise.take();
        frame_.destroy();
        this->finish_value(std::move(result));
      } catch (...) {
        error = std::current_exception();
      }
      if (error != nullptr) fail(std::move(error));
    }
  }
  std::string describe() const override {
    return "task " + demangled(typeid(F).name()) + " submitted " + describe_address(this->where());
  }

 protected:
  bool request_stop() noexcept override {
    auto* request = new (std::nothrow) stop_job(*this);
    if (request == nullptr) return false;
    const auto before = begin_stop();
    if (before != stop_request::nobody) {
      delete request;
      return before == stop_request::somebody;
    }
    this->add_ref();
    return flow().loop().deliver(*request);
  }

 private:
  struct stop_job final : job {
    explicit stop_job(spawned_call& c) noexcept : call(c) {}
    void run() noexcept override {
      call.stop_arrived();
      call.release();
      delete this;
    }
    void drop() noexcept override { run(); }
    spawned_call& call;
  };
  void fail(std::exception_ptr error) noexcept {
    frame_.destroy();
    try {
      std::rethrow_exception(error);
    } catch (const cancelled_error&) {
      if (flow().stopping()) return this->finish(state_base::outcome::cancelled);
    } catch (...) {
    }
    this->finish_exception(std::move(error));
  }

  [[no_unique_address]] F f_;
  [[no_unique_address]] std::tuple<Args...> args_;
  typename task_type::handle frame_;
};

template <class T>
struct hand_over {
  task<T> operator()(task<T> t) const noexcept { return t; }
};

}  // namespace detail

template <class F, class... Args>
inline auto event_loop::submit(F&& f, Args&&... args) {
  using result = detail::call_result_t<F, Args...>;
  if constexpr (detail::is_task<result>) {
    using call = detail::spawned_call<std::decay_t<F>, std::decay_t<Args>...>;
    auto* spawned =
        new call(queue_, detail::here(), std::forward<F>(f), std::forward<Args>(args)...);
    auto handle = detail::access::adopt<typename detail::task_value<result>::type>(spawned);
    if (is_current()) {  // what admit() comes to on the loop's own thread
      queue_.ready.push(*spawned);
    } else {
      hand_over(*spawned, {});
    }
    return handle;
  } else {
    return local_executor::submit(std::forward<F>(f), std::forward<Args>(args)...);
  }
}

template <class T>
inline future<T> event_loop::spawn(task<T> t) {
  return submit(detail::hand_over<T>{}, std::move(t));
}

template <class T>
T event_loop::run_until_complete(task<T> t) {
  check_may_run();
  auto result = spawn(std::move(t));
  run_until(*detail::access::get(static_cast<const any_future&>(result)));
  return std::move(result).get();
}

}  // namespace plait

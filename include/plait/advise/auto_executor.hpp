// plait/advise/auto_executor.hpp: an executor that watches its first calls and picks how wide to run.
//
//   plait::auto_executor executor;
//   auto pages = executor.map(fetch, urls).to_vector();      // blocking calls: threads
//   auto answer = executor.submit(fetch_awaiting, url);      // a coroutine: an event loop a core
//   auto parsed = executor.isolated().submit(parse, file);   // a crash costs this call only
//   std::cout << executor.report() << '\n';
//
// It begins with a thread a core and 16 coroutines. While calls wait to begin it looks at what those under way do with
// their time (CPU clock, run queue, locks, waiting) and how many end, widens in steps as long as
// that pays, narrows where something outside is full, and starts anew when the calls change their
// nature. docs/choosing.md tells how.
//
// Threads:  every member may be called from any thread.
// Ends:     not by one of its own coroutines, which it would wait for.
// Blocks:   map while its window is full; shutdown and the destructor until the calls have ended.
// Stops:    as on a thread pool and on an event loop.
// Throws:   submit: executor_shutdown after shutdown(); the constructor std::invalid_argument if the
//           options contradict each other.
// Order:    as a thread pool's; coroutines begin in the order of submission, those of one loop.
// Cost:     a call costs what it costs on a thread pool and two readings of the clock (about 60 ns),
//           after 64 short calls one in 16 does. While calls wait a thread looks every 2 to 10 ms,
//           under 1 % of a core; when none does, nothing runs: idle is 0 % CPU.
// Example:  examples/advise/auto_executor.cpp
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <tuple>

#include "plait/advise/auto_report.hpp"
#include "plait/coroutines/event_loop_group.hpp"
#include "plait/coroutines/semaphore.hpp"
#include "plait/processes/process_pool_executor.hpp"
#include "plait/threads/thread_pool_executor.hpp"

namespace plait {

struct auto_executor_options {
  // How few and how many blocking calls at once; at most 1,024.
  std::size_t min_threads = 1, max_threads = 256;
  // How many coroutines at once, on all loops together; at least one on each.
  std::size_t min_tasks = 1, max_tasks = 4096;
  // How many CPUs to count on; 0: usable_cpu_count(). Also the number of loops.
  std::size_t cores = 0;
  // What isolated() is made with; its max_workers 0: as many as cores.
  process_pool_options isolation = {};
};

namespace detail {
class auto_engine;
class task_gate;

// A place among the coroutines of a loop that are under way.
class task_place {
 public:
  task_place(task_gate& gate, semaphore::permit permit) noexcept;
  ~task_place();
  task_place(const task_place&) = delete;
  task_place& operator=(const task_place&) = delete;

 private:
  friend task_gate;
  task_gate& gate_;
  semaphore::permit permit_;
  std::int64_t begun_;
  std::uint32_t epoch_;
  task_place *older_, *newer_ = nullptr;
};
// One of the gate's permits at once, if there is one; else the coroutine that waits for it.
std::optional<semaphore::permit> try_permit(task_gate& gate) noexcept;
task<semaphore::permit> next_permit(task_gate& gate);

// Waits for a place and then runs `begin(call, stop)` in it.
template <class Task>
Task run_in_turn(task_gate& gate, void* call, Task (*begin)(void*, std::stop_token&),
                 std::stop_token stop) {
  auto permit = try_permit(gate);
  if (!permit) permit = co_await next_permit(gate);
  const task_place place(gate, *std::move(permit));
  co_return co_await begin(call, stop);
}

// f(args...), kept by the task that waits for its turn. No coroutine is a template of F: GCC 12 warns
// of those whose types are local to a source file.
template <class F, class... Args>
class in_turn {
  using task_type = call_result_t<F, Args...>;

 public:
  template <class G, class... As>
  in_turn(task_gate& gate, G&& f, As&&... args)
      : gate_(&gate), f_(std::forward<G>(f)), args_(std::forward<As>(args)...) {}
  task_type operator()() requires(!takes_stop_token<F, Args...>) {
    return run_in_turn<task_type>(*gate_, this, &begin, {});
  }
  task_type operator()(std::stop_token stop) requires takes_stop_token<F, Args...> {
    return run_in_turn<task_type>(*gate_, this, &begin, std::move(stop));
  }

 private:
  static task_type begin(void* self, [[maybe_unused]] std::stop_token& stop) {
    auto& call = *static_cast<in_turn*>(self);
    return std::apply(
        [&](Args&... args) {
          if constexpr (takes_stop_token<F, Args...>) {
            return std::invoke(std::move(call.f_), stop, std::move(args)...);
          } else {
            return std::invoke(std::move(call.f_), std::move(args)...);
          }
        },
        call.args_);
  }
  task_gate* gate_;
  [[no_unique_address]] F f_;
  [[no_unique_address]] std::tuple<Args...> args_;
};
}  // namespace detail

class auto_executor final : public local_executor {
 public:
  explicit auto_executor(auto_executor_options options = {});
  // shutdown(): waits for every call.
  ~auto_executor() override;

  // As every executor's. If f is a coroutine function (it returns a task), it runs on an event loop,
  // and the future is that of the task's result. map of such a function takes no chunks.
  template <class F, class... Args>
  [[gnu::always_inline]] auto submit(F&& f, Args&&... args) {
    if constexpr (detail::is_task<detail::call_result_t<F, Args...>>) {
      return submit_task({}, std::forward<F>(f), std::forward<Args>(args)...);
    } else {
      return local_executor::submit(std::forward<F>(f), std::forward<Args>(args)...);
    }
  }
  template <class F, class Range>
  [[gnu::always_inline]] auto map(F f, Range&& items, map_options options = {}) {
    return map_with({}, std::move(f), std::forward<Range>(items), options);
  }
  template <class F, class Range, detail::iterable Other>
  [[gnu::always_inline]] auto map(F f, Range&& items, Other&& others, map_options options = {}) {
    return map_with(
        {}, detail::spread_call<F>{std::move(f)},
        detail::zipped<Range, Other>(std::forward<Range>(items), std::forward<Other>(others)),
        options);
  }
  // submit and map, with more to say of the calls.
  class configured;
  configured with(call_options options) noexcept;

  // Worker processes for calls that may crash, leak or never end: submit, map and with() of a
  // process_pool_executor. Started when it is first asked for. What is sent there must travel: a
  // lambda with captures does not compile.
  process_pool_executor& isolated();

  auto_report report() const;
  // How many blocking calls may run at once, at the moment; and how many coroutines.
  std::size_t threads() const noexcept;
  std::size_t tasks() const noexcept;

  // Takes no further calls, runs or cancels those that have not begun, and waits until the running
  // ones have ended. Called from one of its own blocking calls it waits for none of those.
  void shutdown(shutdown_options options = {});

 protected:
  admission admit(detail::job& job, const call_options& options) override;
  std::size_t default_window() const noexcept override;

 private:
  template <class F>
  struct task_submitter {
    auto_executor& engine;
    F f;
    call_options options;
    template <class Item>
    auto one(Item&& item) {
      return engine.submit_task(options, f, std::forward<Item>(item));
    }
  };
  // Where a task of ours goes next, and through which gate; none for what a task of ours submits.
  struct turn {
    event_loop* loop;
    detail::task_gate* gate;
  };
  turn next_turn();
  template <class F, class... Args>
  auto submit_task(const call_options& options, F&& f, Args&&... args) {
    const turn to = next_turn();
    if (to.gate == nullptr)
      return to.loop->with(options).submit(std::forward<F>(f), std::forward<Args>(args)...);
    return to.loop->with(options).submit(detail::in_turn<std::decay_t<F>, std::decay_t<Args>...>(
        *to.gate, std::forward<F>(f), std::forward<Args>(args)...));
  }
  template <class F, class Range>
  auto map_with(const call_options& calls, F f, Range&& items, map_options options) {
    using item = decltype(*std::begin(items));
    if constexpr (detail::is_task<detail::call_result_t<F, item>>) {
      using result = typename detail::task_value<detail::call_result_t<F, item>>::type;
      static_assert(!std::is_void_v<result>,
                    "map(f, range): f's task returns nothing, so there is nothing to map to; "
                    "return a value, or submit the calls and wait() for them");
      const std::size_t window = options.buffersize != 0 ? options.buffersize : task_window();
      return map_range<result>(new detail::map_by_one<result, task_submitter<F>, Range>(
          task_submitter<F>{*this, std::move(f), calls}, std::forward<Range>(items), window,
          options));
    } else {
      return local_executor::with(calls).map(std::move(f), std::forward<Range>(items), options);
    }
  }
  std::size_t task_window() const noexcept;
  explicit auto_executor(detail::auto_engine* engine) noexcept;  // takes it over
  detail::auto_engine* engine_;
};

class auto_executor::configured {
 public:
  template <class F, class... Args>
  [[gnu::always_inline]] auto submit(F&& f, Args&&... args) {
    if constexpr (detail::is_task<detail::call_result_t<F, Args...>>) {
      return engine_.submit_task(options_, std::forward<F>(f), std::forward<Args>(args)...);
    } else {
      return engine_.local_executor::with(options_).submit(std::forward<F>(f),
                                                           std::forward<Args>(args)...);
    }
  }
  template <class F, class Range>
  [[gnu::always_inline]] auto map(F f, Range&& items, map_options options = {}) {
    return engine_.map_with(options_, std::move(f), std::forward<Range>(items), options);
  }
  template <class F, class Range, detail::iterable Other>
  [[gnu::always_inline]] auto map(F f, Range&& items, Other&& others, map_options options = {}) {
    return engine_.map_with(
        options_, detail::spread_call<F>{std::move(f)},
        detail::zipped<Range, Other>(std::forward<Range>(items), std::forward<Other>(others)),
        options);
  }

 private:
  friend auto_executor;
  configured(auto_executor& e, call_options o) noexcept : engine_(e), options_(o) {}
  auto_executor& engine_;
  call_options options_;
};
inline auto_executor::configured auto_executor::with(call_options options) noexcept {
  return {*this, options};
}

}  // namespace plait

// plait/processes/process_pool_executor.hpp: worker processes that share nothing and survive you.
//
// Calls run in processes of this same program. A crash costs the one call that crashed.
//
// Threads:  submit, map, shutdown and the observers from any thread.
// Blocks:   map while its window is full; shutdown and the destructor until the workers are gone.
// Stops:    cancel() takes a queued call back at once; a running one is asked to stop (this_call.hpp).
//           kill() and the options' timeout and deadline end it, with its worker and nobody else's call.
// Throws:   submit: executor_shutdown after shutdown(), broken_executor's kin when no worker can
//           live, serialization_error, function_not_found. Results: what the call threw (standard
//           exceptions as themselves, others as remote_error), worker_crashed, task_timeout,
//           task_killed, supervisor_lost.
// Cost:     about 1 us there and back while both sides are awake; 2 MB and 0.1 ms a worker.
// Order:    calls begin about in the order of submission; each at most once, unless it has `retries`.
// Signals:  workers ignore SIGINT; none outlives this process, however it ends.
// Example:  examples/processes/primes.cpp, docs/processes.md
#pragma once

#include <concepts>
#include <string>
#include <vector>

#include "plait/core/executor.hpp"
#include "plait/processes/errors.hpp"
#include "plait/processes/process_pool_options.hpp"
#include "plait/processes/remote_call.hpp"

namespace plait {

// A snapshot; the numbers were true at about the same time.
struct process_pool_statistics {
  std::size_t workers;     // alive
  std::size_t queued;      // calls that have not begun, at a worker or not
  std::size_t unfinished;  // calls without a result, queued ones included
  std::size_t started;     // workers that were ever started
  std::size_t crashed;     // workers that died running a call
  start_method start;      // as in the options, but for a fallback
};

class process_pool_executor {
 public:
  explicit process_pool_executor(process_pool_options options = {});
  template <std::integral N>
  explicit process_pool_executor(N max_workers)
      : process_pool_executor(process_pool_options{.max_workers = checked_count(max_workers)}) {}
  process_pool_executor(const process_pool_executor&) = delete;
  process_pool_executor& operator=(const process_pool_executor&) = delete;
  // shutdown(): waits for every call, as leaving Python's `with` does.
  ~process_pool_executor();

  // Runs f(args...) in a worker. f is a function, a captureless lambda, a member function or a
  // function object whose members travel; arguments and result are copied between the processes.
  template <class F, class... Args>
  [[gnu::always_inline]] auto submit(F&& f, Args&&... args) {
    return submit_from(detail::here(), {}, std::forward<F>(f), std::forward<Args>(args)...);
  }
  // What is submitted or mapped through the result has these options.
  class configured;
  configured with(process_call_options options) noexcept;

  // f over every element of `items`, results in order, lazily, as local executors do it.
  template <class F, class Range>
  [[gnu::always_inline]] auto map(F f, Range&& items, map_options options = {}) {
    return map_from(detail::here(), {}, std::move(f), std::forward<Range>(items), options);
  }

  // f over two ranges side by side, f(item, other), up to the end of the shorter.
  template <class F, class Range, detail::iterable Other>
  [[gnu::always_inline]] auto map(F f, Range&& items, Other&& others, map_options options = {}) {
    return map(
        detail::spread_call<F>{std::move(f)},
        detail::zipped<Range, Other>(std::forward<Range>(items), std::forward<Other>(others)),
        options);
  }

  // Ends this call only: one that has not begun is cancelled; one that runs is killed, and its future
  // throws task_killed. False if it has a result already, or is not a call of this pool.
  bool kill(const any_future& call);

  // Takes no further calls, runs or cancels those that have not begun, waits for the running ones
  // and for the workers' ends. When options.grace is over, the first are cancelled and the second
  // killed. From a done callback it does not wait.
  void shutdown(shutdown_options options = {});
  // shutdown() without patience: calls that have not begun are cancelled, workers are killed, and
  // what they ran throws task_killed.
  void terminate_workers() {
    shutdown({.pending = shutdown_options::pending_calls::cancel, .grace = duration::zero()});
  }

  std::size_t max_workers() const noexcept;
  // Of the workers that are alive now.
  std::vector<int> worker_pids() const;
  process_pool_statistics statistics() const;

 private:
  template <class F>
  struct call_submitter {
    process_pool_executor& pool;
    F f;
    const void* where;
    process_call_options options;
    template <class Item>
    auto one(Item&& item) {
      return pool.submit_from(where, options, f, std::forward<Item>(item));
    }
    template <class Item>
    auto many(std::vector<Item> items) {
      return pool.submit_from(where, options, detail::chunk_call<F>{f}, std::move(items));
    }
  };
  template <class F, class Range>
  auto map_from(const void* where, const process_call_options& calls, F f, Range&& items,
                map_options options) {
    return detail::make_map(call_submitter<F>{*this, std::move(f), where, calls},
                            std::forward<Range>(items), options, default_window());
  }

  template <class F, class... Args>
  auto submit_from(const void* where, const process_call_options& options, F&& f, Args&&... args) {
    using signature = detail::remote_signature<F, Args...>;
    using result = typename detail::remote_result<signature>::type;
    if constexpr (signature::well_formed && detail::result_travels<result>) {
      using call =
          detail::remote_call<result, typename signature::function, typename signature::arguments>;
      auto* job = new call(where, f, std::forward<Args>(args)...);
      auto handle = detail::access::adopt<result>(job);
      set_options(*job, options);
      post(*job);
      return handle;
    } else {
      return future<result>();  // an assertion above has spoken
    }
  }
  static void set_options(detail::remote_job& job, const process_call_options& options);
  // Takes the job over, or throws and leaves its future cancelled.
  void post(detail::remote_job& job);
  std::size_t default_window() const noexcept;
  template <std::integral N>
  static std::size_t checked_count(N n) {
    if (n <= 0) refuse_count();
    return static_cast<std::size_t>(n);
  }
  [[noreturn]] static void refuse_count();

  detail::process_engine* engine_;
};

class process_pool_executor::configured {
 public:
  template <class F, class... Args>
  [[gnu::always_inline]] auto submit(F&& f, Args&&... args) {
    return pool_.submit_from(detail::here(), options_, std::forward<F>(f),
                             std::forward<Args>(args)...);
  }
  template <class F, class Range>
  [[gnu::always_inline]] auto map(F f, Range&& items, map_options options = {}) {
    return pool_.map_from(detail::here(), options_, std::move(f), std::forward<Range>(items),
                          options);
  }
  template <class F, class Range, detail::iterable Other>
  [[gnu::always_inline]] auto map(F f, Range&& items, Other&& others, map_options options = {}) {
    return pool_.map_from(
        detail::here(), options_, detail::spread_call<F>{std::move(f)},
        detail::zipped<Range, Other>(std::forward<Range>(items), std::forward<Other>(others)),
        options);
  }

 private:
  friend process_pool_executor;
  configured(process_pool_executor& p, process_call_options o) noexcept
      : pool_(p), options_(std::move(o)) {}
  process_pool_executor& pool_;
  process_call_options options_;
};
inline process_pool_executor::configured process_pool_executor::with(
    process_call_options options) noexcept {
  return {*this, std::move(options)};
}

// For programs that are linked statically with glibc, where the worker's entry cannot be found
// before main: call it first in main. Never returns in a worker; elsewhere it does nothing.
void run_worker_if_requested();

}  // namespace plait

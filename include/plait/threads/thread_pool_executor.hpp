// plait/threads/thread_pool_executor.hpp: threads that share memory and run closures.
//
// Threads:  every member may be called from any thread, a worker's own included.
// Blocks:   submit while max_pending calls wait; map while its window is full; shutdown and the
//           destructor until the workers have ended.
// Stops:    a queued call that is cancelled never starts; a running call sees its std::stop_token.
// Throws:   executor_shutdown after shutdown(); executor_full; broken_executor once an initializer
//           has failed; would_deadlock from a wait that could never end.
// Waiting:  get() inside a call runs the awaited call, if it has not begun. While a call waits for
//           anything else, another thread may take its place: a pool never comes to a halt because
//           all of its workers wait for what is in its queue.
// Cost:     one allocation a call; threads start as calls need them; idle workers sleep at 0 % CPU.
// Order:    calls submitted from outside begin by priority, then in the order of submission; a
//           worker runs what its own call submitted newest first, and idle workers steal the oldest.
// Example:  examples/threads/fetch.cpp, docs/threads.md
#pragma once

#include <concepts>
#include <optional>
#include <string>

#include "plait/core/executor.hpp"
#include "plait/threads/thread_initializer.hpp"

namespace plait {

struct thread_pool_options {
  // The most threads that work at once; 0: usable_cpu_count(), or 256 for an elastic pool.
  std::size_t max_workers = 0;
  // Threads are named "<prefix>-<number>" (the kernel shows 15 characters).
  std::string thread_name_prefix = "plait";
  // Runs first on every thread. If it throws, the pool is broken: what is queued fails with
  // broken_executor, and so does every submit from then on.
  thread_initializer initializer = {};
  // How many calls may wait to begin; 0: no limit. Calls that submit to their own pool are exempt.
  std::size_t max_pending = 0;
  enum class full_queue { wait, refuse } if_full = full_queue::wait;
  // fixed: max_workers threads. elastic: for blocking calls; as many threads as there are CPUs do
  // what they can, and while calls wait in the queue and threads are seen to be blocked (their CPU
  // clocks stand still), more are added, up to max_workers.
  enum class sizing { fixed, elastic } size = sizing::fixed;
  // How long a thread above the base size waits for work before it ends.
  duration idle_timeout = std::chrono::seconds(10);
};

// A snapshot; the numbers were true at about the same time.
struct thread_pool_statistics {
  std::size_t workers;  // threads
  std::size_t idle;     // of them asleep
  std::size_t blocked;  // of them waiting for a future
  std::size_t queued;   // calls that have not begun
  std::size_t running;  // calls that have
  std::size_t done;     // calls that have ended
  std::size_t steals;   // calls that a worker took from another
};

namespace detail {
class thread_pool_engine;
}

class thread_pool_executor final : public local_executor {
 public:
  explicit thread_pool_executor(thread_pool_options options = {});
  template <std::integral N>
  explicit thread_pool_executor(N max_workers)
      : thread_pool_executor(thread_pool_options{.max_workers = checked_count(max_workers)}) {}
  // shutdown(): waits for every call, as leaving Python's `with` does. In one of its own calls it
  // waits for nothing: the pool's threads finish the work and end by themselves.
  ~thread_pool_executor() override;

  // As submit, or nothing if the queue is full.
  template <class F, class... Args>
  [[gnu::always_inline]] auto try_submit(F&& f, Args&&... args) {
    using result = std::optional<future<detail::call_result_t<F, Args...>>>;
    try {
      return result(this->submit_from(detail::here(), {.if_full = call_options::full_queue::refuse},
                                      std::forward<F>(f), std::forward<Args>(args)...));
    } catch (const executor_full&) {
      return result();
    }
  }

  // Takes no further calls, runs or cancels those that have not begun, and waits until the running
  // ones have ended. What these submit meanwhile is run too, or refused when the rest is cancelled.
  // Called from one of its own calls it waits for nothing.
  void shutdown(shutdown_options options = {});

  // Changes how many threads work at once. Fewer: running calls are not disturbed.
  void resize(std::size_t max_workers);
  std::size_t max_workers() const noexcept;
  thread_pool_statistics statistics() const noexcept;

  // True on a thread of this pool.
  bool is_current() const noexcept;

 protected:
  admission admit(detail::job& job, const call_options& options) override;
  std::size_t default_window() const noexcept override;

 private:
  template <std::integral N>
  static std::size_t checked_count(N n) {
    if (n <= 0) refuse_count();
    return static_cast<std::size_t>(n);
  }
  [[noreturn]] static void refuse_count();
  explicit thread_pool_executor(detail::thread_pool_engine* engine) noexcept;
  detail::thread_pool_engine* engine_;
};

// The process-wide pool for blocking work, as asyncio.to_thread uses: min(32, CPUs + 4) threads,
// started as needed, never destroyed before the program's static objects.
thread_pool_executor& default_thread_pool();

}  // namespace plait

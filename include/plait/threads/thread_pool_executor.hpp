// plait/threads/thread_pool_executor.hpp: threads that share memory and run closures.
//
// Threads:  every member may be called from any thread, except the destructor.
// Blocks:   map while its window is full; shutdown and the destructor until the workers have ended.
// Stops:    a queued call that is cancelled never starts; a running call sees its std::stop_token.
// Throws:   executor_shutdown after shutdown(). would_deadlock from get() on a call's own result.
// Cost:     one allocation a call; threads start as calls need them; idle workers sleep at 0 % CPU.
// Order:    calls submitted from outside begin in the order of submission; a worker runs what its
//           own call submitted newest first, and idle workers steal the oldest.
// Example:  examples/threads/fetch.cpp
#pragma once

#include <concepts>
#include <string>

#include "plait/core/executor.hpp"

namespace plait {

struct thread_pool_options {
  // The most threads at once; 0: usable_cpu_count(). Blocking calls deserve more than CPUs.
  std::size_t max_workers = 0;
  // Threads are named "<prefix>-<number>" (the kernel shows 15 characters).
  std::string thread_name_prefix = "plait";
};

// A snapshot; the numbers were true at about the same time.
struct thread_pool_statistics {
  std::size_t workers, idle, queued;
};

class thread_pool_executor final : public local_executor {
 public:
  explicit thread_pool_executor(thread_pool_options options = {});
  template <std::integral N>
  explicit thread_pool_executor(N max_workers)
      : thread_pool_executor(thread_pool_options{.max_workers = checked_count(max_workers)}) {}
  // shutdown(): waits for every call, as leaving Python's `with` does.
  ~thread_pool_executor() override;

  // Takes no further calls, runs or cancels those that have not begun, and waits until the running
  // ones have ended. What these submit meanwhile is run too, or refused when the rest is cancelled.
  // Called from one of its own calls it waits for nothing.
  void shutdown(shutdown_options options = {});

  std::size_t max_workers() const noexcept;
  thread_pool_statistics statistics() const noexcept;

  // True on a thread of this pool.
  bool is_current() const noexcept override;

 protected:
  bool take_back(detail::job& job) noexcept override;
  bool post(detail::job& job) noexcept override;
  std::size_t default_window() const noexcept override;

 private:
  struct worker;
  struct engine;
  template <std::integral N>
  static std::size_t checked_count(N n) {
    if (n <= 0) refuse_count();
    return static_cast<std::size_t>(n);
  }
  [[noreturn]] static void refuse_count();
  engine* engine_;
};

// The process-wide pool for blocking work, as asyncio.to_thread uses: min(32, CPUs + 4) threads,
// started as needed, never destroyed before the program's static objects.
thread_pool_executor& default_thread_pool();

}  // namespace plait

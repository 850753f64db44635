// src/threads/growth_monitor.hpp: how an elastic pool learns that its threads are blocked.
//
// While calls wait in the queue and nobody is free, it looks every millisecond at the CPU clock of
// each busy thread. One whose clock has run for less than a fifth of the time, and that the kernel
// has asleep (not merely waiting for a CPU), is blocked, and the pool may have one more active
// thread in its stead. With nothing in the queue it sleeps, and an elastic pool costs nothing.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>

namespace plait::detail {

class thread_pool_engine;

class growth_monitor {
 public:
  // A fixed pool's monitor never starts.
  explicit growth_monitor(thread_pool_engine& pool) noexcept : pool_(pool) {}
  ~growth_monitor() { stop(); }
  // Calls wait and nobody is free: look into it. From any thread.
  void backlog() noexcept;
  void stop() noexcept;

 private:
  void watch() noexcept;
  void look(std::chrono::nanoseconds elapsed) noexcept;
  thread_pool_engine& pool_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::thread thread_;
  std::atomic<bool> wanted_{false};  // written under the mutex
  bool stopping_ = false;
};

}  // namespace plait::detail

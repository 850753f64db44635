// src/threads/worker.hpp: one slot of a pool: a thread, and the jobs it has taken but not begun.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

#include "inspect/activity.hpp"
#include "threads/thread_pool_engine.hpp"

namespace plait::detail {

struct thread_pool_engine::worker {
  worker(thread_pool_engine& e, std::size_t s) noexcept : home(e), slot(s) {}
  thread_pool_engine& home;
  const std::size_t slot;
  work_deque deque;
  std::thread thread;             // guarded by the engine's threads_
  std::atomic<bool> busy{false};  // runs calls; written by the thread alone, as the next two
  std::atomic<std::uint64_t> done{0}, steals{0};
  void count_done() noexcept {
    done.store(done.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  std::atomic<int> tid{0};    // the kernel's number of the thread
  std::int64_t cpu_time = 0;  // what growth_monitor read last
  bool was_busy = false;
  activity running;  // only while somebody watches
};

}  // namespace plait::detail

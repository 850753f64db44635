// src/inspect/stall_watch.hpp: one thread that looks whether watched loops still turn.
//
// It looks every half `stall_after` while loops run something, and sleeps when none has for a while.
// A loop that begins a run wakes it then:
//   S1  the loop notes the run (under the activity's mutex), then reads quiet_;
//   S2  the watcher sets quiet_, then reads the activity under that mutex.
// One of the two sees the other, by the order in which they took the mutex.
//
// The thread starts with the first watched loop and ends with the last.
#pragma once

#include <atomic>
#include <cstdint>

#include "inspect/activity.hpp"
#include "plait/core/clock.hpp"

namespace plait::detail {

// A loop that is watched, for as long as this lives.
class stall_watch {
 public:
  // Watches nothing if `after` is zero or less.
  stall_watch(const activity& loop, const std::atomic<int>& thread, duration after);
  ~stall_watch();
  stall_watch(const stall_watch&) = delete;
  stall_watch& operator=(const stall_watch&) = delete;

  bool is_on() const noexcept { return after_ > 0; }
  // The loop has begun a run. S1
  void begun() noexcept {
    if (quiet_.load(std::memory_order_relaxed)) wake();
  }

 private:
  friend class stall_watcher;
  void wake() noexcept;
  const activity& loop_;
  const std::atomic<int>& thread_;
  const std::int64_t after_;  // ns
  std::atomic<bool> quiet_{false};
  // The watcher's, under its mutex.
  std::uint64_t seen_ = 0, reported_ = 0;  // numbers of runs
  stall_watch *previous_ = nullptr, *next_ = nullptr;
};

}  // namespace plait::detail

// src/inspect/activity.hpp: what a thread of an engine is running, for others to read.
//
// Nothing is noted unless somebody watches: an engine asks watched() before a call, or before a batch
// of resumptions, which is one relaxed load; only then does it make a watched_run around each.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "plait/core/job.hpp"

namespace plait::detail {

// Who watches; a bit each.
enum class watcher : unsigned { door = 1, trace = 4 };
inline constinit std::atomic<unsigned> watchers{0};

inline bool watched() noexcept { return watchers.load(std::memory_order_relaxed) != 0; }
inline bool watched_by(watcher w) noexcept {
  return watchers.load(std::memory_order_relaxed) & static_cast<unsigned>(w);
}
inline void set_watched(watcher w) noexcept { watchers.fetch_or(static_cast<unsigned>(w)); }
inline void set_unwatched(watcher w) noexcept { watchers.fetch_and(~static_cast<unsigned>(w)); }

// CLOCK_MONOTONIC: the same in every process of the machine.
std::int64_t monotonic_time() noexcept;

// A job_origin that is independent of the job.
struct origin_copy {
  static constexpr std::size_t name_size = 48;
  const char* type = nullptr;
  const void* code = nullptr;
  const void* where = nullptr;
  char name[name_size] = "";

  origin_copy() = default;
  explicit origin_copy(const job_origin& from) noexcept;
  job_origin view() const noexcept { return {name, type, code, where}; }
};

// One thread's present run. Written by that thread, read by any.
class activity {
 public:
  struct snapshot {
    bool running = false;
    origin_copy what;        // while running
    std::int64_t began = 0;  // monotonic_time()
    std::uint64_t runs = 0;  // how many have begun
  };
  snapshot read() const noexcept {
    const std::lock_guard hold(mutex_);
    return now_;
  }

 private:
  friend class watched_run;
  mutable std::mutex mutex_;  // held for a few instructions, and only while somebody watches
  snapshot now_;
};

// Around one run, on the thread that runs it. May nest.
class watched_run {
 public:
  watched_run(activity& thread, const job_origin& what) noexcept;
  ~watched_run();
  watched_run(const watched_run&) = delete;
  watched_run& operator=(const watched_run&) = delete;

 private:
  activity& thread_;
  activity::snapshot outer_;
  activity::snapshot own_;
};

}  // namespace plait::detail

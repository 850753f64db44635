// src/advise/call_lane.hpp: what one thread has to tell of the calls that it runs.
//
// Written by that thread alone, read by the one that watches: plain loads and stores, no locked
// instruction. Every call is timed until 64 in a row were short; then one in 16 stands for them all.
#pragma once

#include <atomic>
#include <cstdint>

namespace plait::detail {

struct alignas(128) call_lane {  // nobody else writes to its cache lines
  call_lane();
  ~call_lane();
  call_lane(const call_lane&) = delete;
  call_lane& operator=(const call_lane&) = delete;

  // Nanoseconds of the monotonic clock.
  static std::int64_t now() noexcept;

  // Around a call that is timed: when it began, under which epoch of the controller.
  void ended_one(std::int64_t began, bool same_epoch) noexcept;
  // After one that was not.
  void ended_unseen() noexcept { add(ended, std::uint64_t{1}); }
  bool is_seen() noexcept {
    if (skip_ == 0) return true;
    --skip_;
    return false;
  }

  template <class T>
  static void add(std::atomic<T>& to, T what) noexcept {
    to.store(to.load(std::memory_order_relaxed) + what, std::memory_order_relaxed);
  }
  std::atomic<std::int64_t> since{0};  // when the oldest call that is under way began; 0: none is
  std::atomic<std::uint64_t> begun{0}, ended{0};
  std::atomic<double> whole{0}, latency{0},
      squares{0};                  // of those that began in the epoch they ended in
  std::atomic<double> longest{0};  // the watcher sets it back
  std::atomic<bool> gone{false};   // the thread has ended
  const int tid;

  // The kernel's account of the thread, in seconds since the last reading. False: there is none, or
  // it is the first.
  struct account {
    double computing, runnable;
  };
  bool read(account& since_last) noexcept;
  // True while the thread waits in a futex: for a lock, as a rule. Nothing if it waits for nothing.
  enum class waiting { not_at_all, for_a_futex, for_the_world };
  waiting look() const noexcept;

  // What the calling thread has computed, and waited for a CPU, until now. Seconds.
  static account own() noexcept;

  // The watcher's: what it read last.
  struct seen {
    std::uint64_t ended = 0;
    double whole = 0, latency = 0, squares = 0;
  } last;

 private:
  unsigned skip_ = 0, shorts_ = 0;
  int account_ = -1;  // /proc/self/task/T/schedstat, kept open
  double computing_ = -1, runnable_ = 0;
};

}  // namespace plait::detail

// plait/testing/virtual_clock.hpp: time that passes only when an event loop has nothing else to do.
//
//   plait::testing::virtual_clock clock;
//   plait::run(program(), {.clock = &clock});   // an hour of sleeps takes no time
//
// Threads:  one loop drives it; now() may be read from any thread.
// Limits:   a loop on virtual time does not wait for other threads before it jumps: work that runs
//           on a thread pool meanwhile takes no virtual time, so do not bound it by a timeout.
#pragma once

#include <atomic>

#include "plait/core/clock.hpp"

namespace plait::testing {

class virtual_clock final : public clock {
 public:
  // Begins one virtual day after the epoch, so that points before the start exist too.
  explicit virtual_clock(time_point start = time_point(std::chrono::hours(24))) noexcept
      : now_(start.time_since_epoch().count()) {}

  time_point now() const noexcept override {
    return time_point(duration(now_.load(std::memory_order_relaxed)));
  }
  // Time never goes back: a deadline that has passed leaves it as it is.
  bool jump_to(time_point deadline) noexcept override {
    if (deadline > now())
      now_.store(deadline.time_since_epoch().count(), std::memory_order_relaxed);
    return true;
  }
  // For tests that move time by hand.
  void advance(duration span) noexcept { jump_to(detail::add_saturated(now(), span)); }

 private:
  std::atomic<duration::rep> now_;
};

}  // namespace plait::testing

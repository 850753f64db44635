// plait/testing/virtual_clock.hpp: time that passes only when an event loop has nothing else to do.
//
//   plait::testing::virtual_clock clock;
//   plait::run(program(), {.clock = &clock});   // an hour of sleeps takes no time
//
// While a task awaits a call that another engine runs (a thread or process pool's, a task of another
// loop, to_thread), time stands still and the loop really waits: such work takes no virtual time,
// however long it takes, and no deadline passes meanwhile. A call that itself waits for something
// that the loop does later in virtual time would wait for ever: other_engines::do_not_stop_it.
//
// Threads:  one loop drives it; now() may be read from any thread.
// Limits:   time does not wait for sockets, child processes, nor for a promise, which may be the
//           loop's own to keep; see testing::memory_stream.
#pragma once

#include <atomic>

#include "plait/core/clock.hpp"

namespace plait::testing {

// What calls of other engines that tasks await mean for virtual time.
enum class other_engines { stop_it, do_not_stop_it };

class virtual_clock final : public clock {
 public:
  // Begins one virtual day after the epoch, so that points before the start exist too.
  explicit virtual_clock(time_point start = time_point(std::chrono::hours(24)),
                         other_engines others = other_engines::stop_it) noexcept
      : now_(start.time_since_epoch().count()), others_(others) {}
  explicit virtual_clock(other_engines others) noexcept : virtual_clock() { others_ = others; }

  time_point now() const noexcept override {
    return time_point(duration(now_.load(std::memory_order_relaxed)));
  }
  // Time never goes back: a deadline that has passed leaves it as it is.
  bool jump_to(time_point deadline) noexcept override {
    if (deadline > now())
      now_.store(deadline.time_since_epoch().count(), std::memory_order_relaxed);
    return true;
  }
  bool waits_for_other_engines() const noexcept override {
    return others_ == other_engines::stop_it;
  }
  // For tests that move time by hand.
  void advance(duration span) noexcept { jump_to(detail::add_saturated(now(), span)); }

 private:
  std::atomic<duration::rep> now_;
  other_engines others_;
};

}  // namespace plait::testing

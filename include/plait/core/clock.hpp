// plait/core/clock.hpp: the time that waits are measured by; injected into the event loop.
//
// Threads:  const members may be called from any thread.
// Units:    durations are std::chrono's; points in time are those of std::chrono::steady_clock.
// Cost:     now() of the real clock is one vDSO call, about 25 ns.
#pragma once

// <chrono> alone costs 0.3 s a translation unit in GCC 12 (it brings <sstream>); the types that a
// concurrency library speaks of live in a smaller header of libstdc++.
#if defined(__GLIBCXX__) || __has_include(<bits/chrono.h>)
#include <bits/chrono.h>
#else
#include <chrono>
#endif

#include <string>

namespace plait {

using duration = std::chrono::nanoseconds;
using time_point = std::chrono::steady_clock::time_point;

// The interface of a clock. The event loop asks it for the time and, when nothing is left to do
// before a deadline, whether it may jump there: real clocks may not, virtual ones do.
class clock {
 public:
  virtual ~clock() = default;
  virtual time_point now() const noexcept = 0;
  // Moves time to `deadline` and returns true, or returns false: the caller must then really wait.
  virtual bool jump_to(time_point deadline) noexcept;
  // For clocks that jump: whether time stands still while a task waits for a call of another engine.
  virtual bool waits_for_other_engines() const noexcept { return true; }

  // std::chrono::steady_clock; lives as long as the program.
  static clock& real() noexcept;
};

namespace detail {

// `from + span`, saturating instead of overflowing for spans such as hours::max().
time_point add_saturated(time_point from, duration span) noexcept;

// As a person reads it: "1.5 s", "20 ms", "for ever".
std::string to_text(duration span);

// Any chrono duration as nanoseconds, saturating; fractions of a nanosecond are rounded up, so that
// a wait never ends early.
template <class Rep, class Period>
constexpr duration to_duration(const std::chrono::duration<Rep, Period>& span) {
  using seconds = std::chrono::duration<double>;
  constexpr double limit = 9.2e9;  // seconds: just inside what 64-bit nanoseconds hold
  if (seconds(span).count() > limit) return duration::max();
  if (seconds(span).count() < -limit) return duration::min();
  return std::chrono::ceil<duration>(span);
}

}  // namespace detail
}  // namespace plait

#include "plait/core/clock.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <limits>

using namespace std::chrono_literals;
using plait::duration;
using plait::time_point;
using plait::detail::add_saturated;
using plait::detail::to_duration;

namespace {

TEST(Clock, AdditionSaturatesAtBothEndsOfTime) {
  const time_point now = std::chrono::steady_clock::now();
  EXPECT_EQ(add_saturated(now, duration::max()), time_point::max());
  EXPECT_EQ(add_saturated(now, 1s), now + 1s);
  EXPECT_EQ(add_saturated(now, -1s), now - 1s);
  EXPECT_EQ(add_saturated(now, duration::min()),
            time_point(now.time_since_epoch() + duration::min()));
  EXPECT_EQ(add_saturated(time_point(-1s), duration::min()), time_point::min());
  EXPECT_EQ(add_saturated(time_point::min(), duration::max()).time_since_epoch(),
            duration::min() + duration::max());
  EXPECT_EQ(add_saturated(time_point::max(), 1ns), time_point::max());
  EXPECT_EQ(add_saturated(time_point::min(), -1ns), time_point::min());
}

TEST(Clock, AnyDurationBecomesNanosecondsAndNeverShorter) {
  EXPECT_EQ(to_duration(1500us), 1500000ns);
  EXPECT_EQ(to_duration(std::chrono::duration<double>(0.5)), 500ms);
  EXPECT_EQ(to_duration(std::chrono::duration<double, std::nano>(0.1)), 1ns);
  EXPECT_EQ(to_duration(std::chrono::hours::max()), duration::max());
  EXPECT_EQ(to_duration(std::chrono::hours::min()), duration::min());
  EXPECT_EQ(to_duration(std::chrono::duration<double>(std::numeric_limits<double>::infinity())),
            duration::max());
}

TEST(Clock, RealClockIsSteadyAndNeverJumps) {
  auto& clock = plait::clock::real();
  const auto before = std::chrono::steady_clock::now();
  EXPECT_GE(clock.now(), before);
  EXPECT_FALSE(clock.jump_to(clock.now() + 1s));
}

}  // namespace

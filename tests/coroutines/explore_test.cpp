// Exploring finds the schedule under which a program is wrong, and its seed leads back there.
#include "plait/testing/explore.hpp"

#include <gtest/gtest-spi.h>

#include <cstdlib>
#include <memory>
#include <stdexcept>

#include "virtual_run.hpp"

using namespace std::chrono_literals;
using plait::testing::exploration;
using plait::testing::explore;

namespace {

// Wrong under half of all schedules: what was read is old when it is written.
plait::task<> counts_wrongly(int times) {
  int counter = 0;
  const auto add = [&]() -> plait::task<> {
    const int before = counter;
    if (before == 0) co_await plait::sleep(1ms);
    counter = before + 1;
  };
  const auto add_later = [&]() -> plait::task<> {
    co_await plait::sleep(1ms);
    co_await add();
  };
  if (times == 1) {
    co_await add();
  } else {
    co_await plait::gather(add(), add_later());
  }
  if (counter != times) throw std::runtime_error("an increment was lost");
}

TEST(Explore, RunsEveryScheduleOfAProgramThatIsRight) {
  const exploration e = explore(200, [] { return counts_wrongly(1); });
  EXPECT_TRUE(e.passed);
  EXPECT_EQ(e.schedules, 200u);
}

TEST(Explore, CountsTheDifferentWaysThatAProgramWent) {
  const auto program = []() -> plait::task<> {
    co_await plait::gather(plait::sleep(0s), plait::sleep(1s), plait::sleep(1s), plait::sleep(1s));
  };
  const exploration e = explore(500, program);
  EXPECT_GT(e.different_ways, 10u);
  EXPECT_LT(e.different_ways, 500u);
}

TEST(Explore, StopsAtTheFirstScheduleThatFailsAndSaysWhy) {
  exploration e;
  EXPECT_NONFATAL_FAILURE(e = explore(1'000, [] { return counts_wrongly(2); }),
                          "an increment was lost");
  EXPECT_FALSE(e.passed);
  EXPECT_LT(e.schedules, 1'000u);
  exploration again;
  EXPECT_NONFATAL_FAILURE(again = explore({.schedules = 1, .first_seed = e.failed_seed},
                                          [] { return counts_wrongly(2); }),
                          "schedule 1 of 1 failed");
  EXPECT_EQ(again.failed_seed, e.failed_seed);
}

TEST(Explore, FindsAProgramThatComesToRest) {
  const auto two_locks_in_two_orders = []() -> plait::task<> {
    plait::semaphore a{1}, b{1};
    const auto hold_both = [](plait::semaphore& first, plait::semaphore& second) -> plait::task<> {
      const auto one = co_await first.acquire();
      co_await plait::sleep(1ms);
      const auto other = co_await second.acquire();
    };
    co_await plait::gather(hold_both(a, b), hold_both(b, a));
  };
  EXPECT_NONFATAL_FAILURE(explore(100, two_locks_in_two_orders), "came to rest before its end");
}

TEST(Explore, GivesTheProgramItsSeed) {
  std::uint64_t next = 77;
  const auto program = [&](std::uint64_t seed) -> plait::task<> {
    EXPECT_EQ(seed, next++);
    co_return;
  };
  explore({.schedules = 10, .first_seed = 77}, program);
  EXPECT_EQ(next, 87u);
}

TEST(Explore, ATimeoutOfTheProgramsOwnIsNotRest) {
  const auto program = []() -> plait::task<> { co_await plait::timeout(1s, plait::sleep(1h)); };
  EXPECT_NONFATAL_FAILURE(explore(1, program), "timed out after 1 s");
}

// In a process of its own, since the expectation that is not met would be this test's.
TEST(ExploreDeathTest, AnExpectationThatIsNotMetFailsItsSchedule) {
  const auto program = [](std::uint64_t seed) -> plait::task<> {
    EXPECT_NE(seed, 5u);
    co_return;
  };
  EXPECT_EXIT(
      {
        const exploration e = explore({.schedules = 10, .first_seed = 3}, program);
        std::_Exit(e.schedules == 3 && e.failed_seed == 5 ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

}  // namespace

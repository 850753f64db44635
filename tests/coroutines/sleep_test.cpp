// What sleep promises: never early, in order of deadline, and no time at all in virtual time.
#include "plait/coroutines/timer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "plait/testing/seed.hpp"
#include "virtual_run.hpp"

using namespace std::chrono_literals;

namespace {

TEST(Sleep, TakesExactlyItsSpanOfVirtualTime) {
  virtual_run([]() -> plait::task<> {
    for (const plait::duration span :
         {plait::duration(1ns), plait::duration(1us), plait::duration(1ms), plait::duration(1h),
          plait::duration(24h * 365 * 50)}) {
      const auto before = virtual_now();
      co_await plait::sleep(span);
      EXPECT_EQ(virtual_now() - before, span);
    }
  });
}

TEST(Sleep, IsNeverEarlyByTheRealClock) {
  plait::run([]() -> plait::task<> {
    for (int i = 0; i < 20; ++i) {
      const auto before = std::chrono::steady_clock::now();
      co_await plait::sleep(i * 37us);
      EXPECT_GE(std::chrono::steady_clock::now() - before, i * 37us);
    }
  }());
}

TEST(Sleep, WakesInOrderOfDeadlineAndThenOfArming) {
  virtual_run([]() -> plait::task<> {
    plait::testing::random_source random;
    std::vector<std::pair<plait::duration, int>> woken;
    std::vector<plait::task<>> tasks;
    const auto sleeper = [&](plait::duration span, int number) -> plait::task<> {
      co_await plait::sleep(span);
      woken.emplace_back(span, number);
    };
    for (int i = 0; i < 2000; ++i)
      tasks.push_back(sleeper(plait::duration(1 + random.below(500) * 100'000), i));
    co_await plait::gather(std::move(tasks));
    EXPECT_EQ(woken.size(), 2000u);
    EXPECT_TRUE(std::is_sorted(woken.begin(), woken.end()));
  });
}

TEST(Sleep, OfZeroOrLessLetsWhatIsReadyRunFirst) {
  virtual_run([]() -> plait::task<> {
    std::vector<int> order;
    const auto turns = [&](int number) -> plait::task<> {
      for (int i = 0; i < 3; ++i) {
        order.push_back(number);
        co_await plait::sleep(i == 1 ? -1h : 0h);
      }
    };
    const auto before = virtual_now();
    co_await plait::gather(turns(1), turns(2));
    EXPECT_EQ(order, (std::vector<int>{1, 2, 1, 2, 1, 2}));
    EXPECT_EQ(virtual_now(), before);
  });
}

TEST(Sleep, AYieldingTaskDoesNotHoldUpTimers) {
  virtual_run([]() -> plait::task<> {
    bool woken = false;
    const auto waker = [&]() -> plait::task<> {
      co_await plait::sleep(1ms);
      woken = true;
    };
    // Time stands still while anything is ready, so the busy task moves it by hand.
    auto& clock = static_cast<plait::testing::virtual_clock&>(plait::event_loop::current().clock());
    const auto busy = [&]() -> plait::task<> {
      for (int i = 0; i < 1000 && !woken; ++i) {
        clock.advance(10us);
        co_await plait::sleep(0s);
      }
      EXPECT_TRUE(woken);
    };
    co_await plait::gather(waker(), busy());
  });
}

TEST(Sleep, ThatIsStoppedEndsAtOnce) {
  virtual_run([]() -> plait::task<> {
    const auto before = virtual_now();
    auto f = plait::spawn([]() -> plait::task<> { co_await plait::sleep(1h); }());
    co_await plait::sleep(1s);
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_EQ(virtual_now() - before, 1s);
  });
}

TEST(Sleep, ForLongerThanTimeItselfCanBeStopped) {
  plait::run([]() -> plait::task<> {  // in real time: virtual time would get there
    auto f =
        plait::spawn([]() -> plait::task<> { co_await plait::sleep(plait::duration::max()); }());
    auto g = plait::spawn(
        []() -> plait::task<> { co_await plait::sleep(std::chrono::duration<double>(1e300)); }());
    co_await let_others_run();
    f.cancel();
    g.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(g));
  }());
}

}  // namespace

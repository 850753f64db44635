// What a task promises: lazy, awaited once, its result as it was made, and never deep on the stack.
#include "plait/coroutines/task.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "virtual_run.hpp"

using namespace std::chrono_literals;

namespace {

plait::task<int> answer() { co_return 42; }

plait::task<> set(bool& flag) {
  flag = true;
  co_return;
}

TEST(Task, DoesNothingUntilItIsAwaited) {
  virtual_run([]() -> plait::task<> {
    bool begun = false;
    auto t = set(begun);
    EXPECT_FALSE(begun);
    co_await plait::sleep(1h);
    EXPECT_FALSE(begun);
    co_await std::move(t);
    EXPECT_TRUE(begun);
  });
}

TEST(Task, ThatIsNeverAwaitedDestroysItsArgumentsUnrun) {
  auto watched = std::make_shared<int>(1);
  {
    auto t = [](std::shared_ptr<int> held) -> plait::task<int> { co_return *held; }(watched);
    EXPECT_EQ(watched.use_count(), 2);
  }
  EXPECT_EQ(watched.use_count(), 1);
}

TEST(Task, GivesItsValue) {
  EXPECT_EQ(virtual_run(answer), 42);
  EXPECT_EQ(virtual_run([]() -> plait::task<int> { co_return co_await answer() + 1; }), 43);
}

TEST(Task, HoldsMoveOnlyValues) {
  const auto made = []() -> plait::task<std::unique_ptr<int>> {
    co_return std::make_unique<int>(7);
  };
  EXPECT_EQ(*virtual_run(made), 7);
}

TEST(Task, HoldsValuesThatAreNeitherDefaultConstructibleNorAssignable) {
  struct stubborn {
    explicit stubborn(int n) : number(n) {}
    stubborn(stubborn&&) = default;
    stubborn& operator=(stubborn&&) = delete;
    const int number;
  };
  EXPECT_EQ(virtual_run([]() -> plait::task<stubborn> { co_return stubborn(5); }).number, 5);
}

TEST(Task, MayReturnABracedList) {
  const auto three = []() -> plait::task<std::vector<int>> { co_return {1, 2, 3}; };
  EXPECT_EQ(virtual_run(three), (std::vector<int>{1, 2, 3}));
}

TEST(Task, RethrowsWhatItThrew) {
  const auto failing = []() -> plait::task<int> {
    throw std::out_of_range("nine");
    co_return 1;
  };
  virtual_run([&]() -> plait::task<> {
    std::string heard;
    try {
      co_await failing();
    } catch (const std::out_of_range& e) {
      heard = e.what();
    }
    EXPECT_EQ(heard, "nine");
  });
  EXPECT_THROW(virtual_run(failing), std::out_of_range);
}

TEST(Task, WhoseValueCannotBeMadeThrowsThat) {
  struct refuses {
    explicit refuses(int) { throw std::length_error("no"); }
    refuses(refuses&&) = default;
  };
  EXPECT_THROW(virtual_run([]() -> plait::task<refuses> { co_return 1; }), std::length_error);
}

TEST(Task, CanBeMovedBeforeItIsAwaited) {
  virtual_run([]() -> plait::task<> {
    plait::task<int> first = answer();
    plait::task<int> second = std::move(first);
    first = answer();
    EXPECT_EQ(co_await std::move(second), 42);
    EXPECT_EQ(co_await std::move(first), 42);
  });
}

TEST(Task, FreesItsFrameAtTheEndOfTheAwait) {
  auto watched = std::make_shared<int>(1);
  virtual_run([&]() -> plait::task<> {
    co_await [](std::shared_ptr<int>) -> plait::task<> { co_return; }(watched);
    EXPECT_EQ(watched.use_count(), 1);
    const bool threw =
        co_await throws<std::runtime_error>([](std::shared_ptr<int>) -> plait::task<> {
          throw std::runtime_error("x");
          co_return;
        }(watched));
    EXPECT_TRUE(threw);
    EXPECT_EQ(watched.use_count(), 1);
  });
}

// With GCC 12's symmetric transfer this overflows the stack at -O0 and under sanitizers.
TEST(Task, TwoMillionAwaitsInARowStayFlat) {
  const auto sum = virtual_run([]() -> plait::task<long> {
    long total = 0;
    for (int i = 0; i < 2'000'000; ++i) total += co_await answer();
    co_return total;
  });
  EXPECT_EQ(sum, 84'000'000);
}

plait::task<long> depth(long below) {
  if (below == 0) co_return 0;
  co_return 1 + co_await depth(below - 1);
}

[[gnu::noinline]] std::uintptr_t stack_now() {
  return reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
}

plait::task<> note_stack(int below, std::uintptr_t& lowest) {
  lowest = std::min(lowest, stack_now());
  if (below > 0) co_await note_stack(below - 1, lowest);
}

TEST(Task, AwaitsNestOnTheStackForAFewPagesOnly) {
  virtual_run([]() -> plait::task<> {
    const auto here = stack_now();
    auto lowest = here;
    co_await note_stack(10'000, lowest);
    EXPECT_LT(here - lowest, 32 * 1024u);
  });
}

TEST(Task, AMillionAwaitsDeepStayFlat) {
  EXPECT_EQ(virtual_run([] { return depth(1'000'000); }), 1'000'000);
}

plait::task<> fail_below(long below) {
  if (below == 0) throw std::runtime_error("from the bottom");
  co_await fail_below(below - 1);
}

TEST(Task, AFailureRisesThroughAHundredThousandAwaits) {
  EXPECT_THROW(virtual_run([] { return fail_below(100'000); }), std::runtime_error);
}

plait::task<> sleep_below(long below) {
  if (below == 0) {
    co_await plait::sleep(1h);
  } else {
    co_await sleep_below(below - 1);
  }
}

TEST(Task, AStopReachesTheInnermostOfAHundredThousandAwaits) {
  virtual_run([]() -> plait::task<> {
    auto f = plait::spawn(sleep_below(100'000));
    co_await let_others_run();
    EXPECT_TRUE(f.cancel());
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_TRUE(f.cancelled());
  });
}

}  // namespace

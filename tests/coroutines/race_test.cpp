// The first to succeed wins; the losers have ended before the winner is told.
#include "plait/coroutines/race.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "plait/testing/unhandled_recorder.hpp"
#include "small_tasks.hpp"
#include "virtual_run.hpp"

using namespace std::chrono_literals;
using plait::task;

namespace {

TEST(Race, TheFirstToSucceedWinsAndTheOthersAreStopped) {
  virtual_run([]() -> task<> {
    const auto before = virtual_now();
    int stopped = 0;
    EXPECT_EQ(co_await plait::race(until_stopped(stopped), after(2s, 7), until_stopped(stopped)),
              7);
    EXPECT_EQ(stopped, 2);
    EXPECT_EQ(virtual_now() - before, 2s);
  });
}

TEST(Race, WhoFailsOnlyLeavesTheRace) {
  const plait::testing::unhandled_recorder recorder;
  virtual_run([]() -> task<> {
    EXPECT_EQ(co_await plait::race(after(1s, -1), after(3s, 3), after(2s, -2)), 3);
  });
  EXPECT_EQ(recorder.count(), 0u);
}

TEST(Race, OfFailuresGivesAllTheReasons) {
  virtual_run([]() -> task<> {
    std::string reasons;
    try {
      co_await plait::race(after(2s, -2), after(1s, -1));
    } catch (const plait::exception_group& all) {
      all.visit<std::runtime_error>([&](const std::runtime_error& e) { reasons += e.what(); });
    }
    EXPECT_EQ(reasons, "-1-2");
  });
}

TEST(Race, OfDifferentTypesGivesAVariant) {
  virtual_run([]() -> task<> {
    const auto text = []() -> task<std::unique_ptr<std::string>> {
      co_return std::make_unique<std::string>("text");
    };
    auto first = co_await plait::race(after(1h, 1), text(), plait::sleep(1s));
    EXPECT_EQ(first.index(), 1u);
    if (first.index() == 1) {
      EXPECT_EQ(*std::get<1>(first), "text");
    }
    auto second = co_await plait::race(after(1h, 1), plait::sleep(1s));
    EXPECT_EQ(second.index(), 1u);
  });
}

TEST(Race, OfManyAndOfAnyAwaitables) {
  virtual_run([]() -> task<> {
    std::vector<task<int>> tasks;
    for (int i = 0; i < 1000; ++i) tasks.push_back(after((1000 - i) * 1s, i));
    EXPECT_EQ(co_await plait::race(std::move(tasks)), 999);
    co_await plait::race(plait::sleep(1s), plait::sleep(2s));
    plait::promise<int> never;
    plait::queue<int> queue;
    queue.put_nowait(4);
    EXPECT_EQ(co_await plait::race(never.get_future(), queue.get()), 4);
    EXPECT_TRUE(never.cancelled());
  });
}

TEST(Race, OfNobodyHasNoWinner) {
  virtual_run([]() -> task<> {
    EXPECT_TRUE(co_await throws<plait::invalid_state>(plait::race(std::vector<task<int>>())));
  });
}

TEST(Race, TheLosersAreWaitedFor) {
  virtual_run([]() -> task<> {
    bool let_go = false;
    const auto slow = [&]() -> task<int> {
      co_await throws<plait::cancelled_error>(plait::sleep(24h));
      co_await plait::shield(plait::sleep(10s));
      let_go = true;
      throw std::runtime_error("a loser's failure is nobody's");
      co_return 1;
    };
    const auto before = virtual_now();
    EXPECT_EQ(co_await plait::race(slow(), after(1s, 5)), 5);
    EXPECT_TRUE(let_go);
    EXPECT_EQ(virtual_now() - before, 11s);
  });
}

TEST(Race, TwoWhoSucceedInOneTurnHaveOneWinner) {
  virtual_run([]() -> task<> { EXPECT_EQ(co_await plait::race(after(1s, 1), after(1s, 2)), 1); });
}

TEST(Race, AStopFromOutsideStopsEverybody) {
  virtual_run([]() -> task<> {
    int stopped = 0;
    const auto body = [&]() -> task<> {
      co_await plait::race(until_stopped(stopped), until_stopped(stopped));
    };
    auto f = plait::spawn(body());
    co_await plait::sleep(1s);
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_EQ(stopped, 2);
  });
}

TEST(Race, WhoSucceedsDespiteTheStopHasWon) {
  virtual_run([]() -> task<> {
    const auto stubborn = []() -> task<int> {
      co_return co_await throws<plait::cancelled_error>(plait::sleep(1h)) ? 9 : 0;
    };
    int stopped = 0;
    const auto body = [&]() -> task<int> {
      co_return co_await plait::race(until_stopped(stopped), stubborn());
    };
    auto f = plait::spawn(body());
    co_await plait::sleep(1s);
    f.cancel();
    EXPECT_EQ(co_await f, 9);
  });
}

TEST(Race, InAStoppedTaskStartsNothing) {
  virtual_run([]() -> task<> {
    int begun = 0;
    const auto begins = [&]() -> task<> {
      ++begun;
      co_return;
    };
    const auto late = [&]() -> task<> {
      co_await throws<plait::cancelled_error>(plait::sleep(1h));
      co_await plait::race(begins(), begins());
    };
    auto f = plait::spawn(late());
    co_await plait::sleep(1s);
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_EQ(begun, 0);
  });
}

}  // namespace

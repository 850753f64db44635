// What gather promises: all results in order, or the first failure once nothing runs any more.
#include "plait/coroutines/gather.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "plait/testing/unhandled_recorder.hpp"
#include "small_tasks.hpp"
#include "virtual_run.hpp"

using namespace std::chrono_literals;

namespace {

template <class Awaitable>
plait::task<std::string> failure_of(Awaitable awaitable) {
  try {
    static_cast<void>(co_await std::move(awaitable));
  } catch (const std::exception& e) {
    co_return e.what();
  }
  co_return "";
}

TEST(Gather, GivesResultsInTheOrderOfTheOperands) {
  virtual_run([]() -> plait::task<> {
    const auto before = virtual_now();
    std::vector<plait::task<int>> tasks;
    for (int i = 0; i < 100; ++i) tasks.push_back(after((100 - i) * 1s, i));
    const std::vector<int> results = co_await plait::gather(std::move(tasks));
    EXPECT_EQ(results.size(), 100u);
    for (int i = 0; i < 100; ++i) EXPECT_EQ(results[static_cast<std::size_t>(i)], i);
    EXPECT_EQ(virtual_now() - before, 100s);
  });
}

TEST(Gather, OfDifferentTypesGivesATuple) {
  virtual_run([]() -> plait::task<> {
    const auto text = []() -> plait::task<std::unique_ptr<std::string>> {
      co_return std::make_unique<std::string>("text");
    };
    const auto nothing = []() -> plait::task<> { co_return; };
    auto [number, string, unit] = co_await plait::gather(after(1s, 5), text(), nothing());
    EXPECT_EQ(number, 5);
    EXPECT_EQ(*string, "text");
    static_cast<void>(unit);
  });
}

TEST(Gather, OfVoidTasksGivesNothing) {
  virtual_run([]() -> plait::task<> {
    int ran = 0;
    std::vector<plait::task<>> tasks;
    for (int i = 0; i < 10; ++i)
      tasks.push_back([](int& n) -> plait::task<> {
        ++n;
        co_return;
      }(ran));
    co_await plait::gather(std::move(tasks));
    EXPECT_EQ(ran, 10);
  });
}

TEST(Gather, OfNothingIsDoneAtOnce) {
  virtual_run([]() -> plait::task<> {
    EXPECT_TRUE((co_await plait::gather(std::vector<plait::task<int>>())).empty());
    co_await plait::gather(std::vector<plait::task<>>());
    const std::tuple<> none = co_await plait::gather();
    static_cast<void>(none);
  });
}

TEST(Gather, TakesAnyAwaitable) {
  virtual_run([]() -> plait::task<> {
    plait::semaphore semaphore{1};
    plait::queue<int> queue;
    queue.put_nowait(9);
    plait::promise<int> promise;
    auto future = promise.get_future();
    const auto fulfil = [&]() -> plait::task<> {
      promise.set_value(3);
      co_return;
    };
    auto [slept, permit, item, three, done] = co_await plait::gather(
        plait::sleep(1s), semaphore.acquire(), queue.get(), future, fulfil());
    EXPECT_EQ(semaphore.available(), 0u);
    EXPECT_EQ(item, 9);
    EXPECT_EQ(three, 3);
    static_cast<void>(slept), static_cast<void>(done), static_cast<void>(permit);
  });
}

TEST(Gather, StopsTheOthersAtTheFirstFailureAndWaitsForThem) {
  virtual_run([]() -> plait::task<> {
    const auto before = virtual_now();
    int stopped = 0;
    bool let_go = false;
    // Its own work after the stop goes on until a future is there.
    plait::promise<void> enough;
    const auto slow_to_stop = [&]() -> plait::task<int> {
      auto token = co_await plait::current_stop_token();
      const std::stop_callback when_stopped(token, [&] { enough.set_value(); });
      co_await enough.get_future();
      let_go = true;
      co_return 1;
    };
    const auto failure = co_await failure_of(plait::gather(
        until_stopped(stopped), slow_to_stop(), fail_after(1s, "first"), until_stopped(stopped)));
    EXPECT_EQ(failure, "first");
    EXPECT_EQ(stopped, 2);
    EXPECT_TRUE(let_go);
    EXPECT_EQ(virtual_now() - before, 1s);
  });
}

TEST(Gather, AFailureBeforeTheSiblingsBeganStopsThemAtTheirFirstAwait) {
  virtual_run([]() -> plait::task<> {
    int begun = 0, stopped = 0, finished = 0;
    const auto sibling = [&]() -> plait::task<int> {
      ++begun;
      try {
        co_await plait::sleep(0s);
      } catch (const plait::cancelled_error&) {
        ++stopped;
        throw;
      }
      ++finished;
      co_return 1;
    };
    const auto fails_at_once = []() -> plait::task<int> {
      throw std::runtime_error("at once");
      co_return 1;
    };
    std::vector<plait::task<int>> tasks;
    tasks.push_back(fails_at_once());
    for (int i = 0; i < 5; ++i) tasks.push_back(sibling());
    EXPECT_EQ(co_await failure_of(plait::gather(std::move(tasks))), "at once");
    EXPECT_EQ(begun, stopped);
    EXPECT_EQ(finished, 0);
  });
}

TEST(Gather, SecondFailuresGoToTheHandlerWithTheirOrigin) {
  const plait::testing::unhandled_recorder recorder;
  virtual_run([]() -> plait::task<> {
    const auto fails_when_stopped = []() -> plait::task<int> {
      try {
        co_await plait::sleep(1h);
      } catch (const plait::cancelled_error&) {
      }
      throw std::runtime_error("second");
      co_return 1;
    };
    EXPECT_EQ(co_await failure_of(plait::gather(fails_when_stopped(), fail_after(1s, "first"))),
              "first");
  });
  const auto heard = recorder.entries();
  ASSERT_EQ(heard.size(), 1u);
  EXPECT_EQ(heard[0].message, "second");
  EXPECT_NE(heard[0].origin.find("gathered"), std::string::npos);
}

TEST(Gather, ThatSucceedsReportsNothing) {
  const plait::testing::unhandled_recorder recorder;
  virtual_run([]() -> plait::task<> {
    int stopped = 0;
    co_await failure_of(plait::gather(until_stopped(stopped), fail_after(1s, "only")));
  });
  EXPECT_EQ(recorder.count(), 0u);
}

TEST(Gather, NestedStopsReachEveryLeaf) {
  virtual_run([]() -> plait::task<> {
    int stopped = 0;
    const auto level = [&](auto& self, int depth) -> plait::task<> {
      if (depth == 0) {
        co_await until_stopped(stopped);
        co_return;
      }
      co_await plait::gather(self(self, depth - 1), self(self, depth - 1), self(self, depth - 1));
    };
    EXPECT_EQ(co_await failure_of(plait::gather(level(level, 5), fail_after(1s, "up here"))),
              "up here");
    EXPECT_EQ(stopped, 243);
  });
}

TEST(Gather, AStopFromOutsideStopsEveryChildAndWaits) {
  virtual_run([]() -> plait::task<> {
    int stopped = 0;
    const auto all = [&]() -> plait::task<> {
      std::vector<plait::task<int>> tasks;
      for (int i = 0; i < 50; ++i) tasks.push_back(until_stopped(stopped));
      co_await plait::gather(std::move(tasks));
    };
    auto f = plait::spawn(all());
    co_await plait::sleep(1s);
    EXPECT_TRUE(f.cancel());
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_EQ(stopped, 50);
    EXPECT_TRUE(f.cancelled());
  });
}

TEST(Gather, KeepsItsResultsWhenEveryChildFinishesDespiteTheStop) {
  virtual_run([]() -> plait::task<> {
    const auto stubborn = []() -> plait::task<int> {
      try {
        co_await plait::sleep(1h);
      } catch (const plait::cancelled_error&) {
      }
      co_return 8;
    };
    const auto both = [&]() -> plait::task<int> {
      auto [a, b] = co_await plait::gather(stubborn(), stubborn());
      co_return a + b;
    };
    auto f = plait::spawn(both());
    co_await plait::sleep(1s);
    f.cancel();
    EXPECT_EQ(co_await f, 16);
  });
}

TEST(Gather, InAStoppedTaskStartsNothing) {
  virtual_run([]() -> plait::task<> {
    int begun = 0;
    const auto child = [&]() -> plait::task<> {
      ++begun;
      co_return;
    };
    const auto late = [&]() -> plait::task<> {
      const bool slept = !co_await throws<plait::cancelled_error>(plait::sleep(1h));
      EXPECT_FALSE(slept);
      co_await plait::gather(child(), child());
    };
    auto f = plait::spawn(late());
    co_await plait::sleep(1s);
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_EQ(begun, 0);
  });
}

TEST(Gather, AHundredThousandWaitingChildrenStop) {
  virtual_run([]() -> plait::task<> {
    plait::semaphore never{0};
    const auto child = [&]() -> plait::task<> { const auto permit = co_await never.acquire(); };
    const auto all = [&]() -> plait::task<> {
      std::vector<plait::task<>> tasks;
      for (int i = 0; i < 100'000; ++i) tasks.push_back(child());
      co_await plait::gather(std::move(tasks));
    };
    auto f = plait::spawn(all());
    co_await plait::sleep(1s);
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_EQ(never.available(), 0u);
  });
}

}  // namespace

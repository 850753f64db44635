// Scheduling that is drawn from a seed: other orders, the same way for the same seed, and every
// promise about order kept.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "plait/testing/shuffled_schedule.hpp"
#include "virtual_run.hpp"

using namespace std::chrono_literals;
using plait::testing::shuffled_schedule;

namespace {

constexpr std::uint64_t seeds = 200;

// Runs the coroutine function `program` as `schedule` chooses.
template <class F>
auto run_under(plait::schedule& schedule, F program) {
  plait::testing::virtual_clock clock;
  return plait::run(program(), {.clock = &clock, .schedule = &schedule});
}

// Calls `check(seed)` with many seeds, those of PLAIT_SEED on.
template <class F>
void under_many_seeds(F check) {
  for (std::uint64_t i = 0; i < seeds; ++i) {
    const std::uint64_t seed = plait::testing::run_seed() + i;
    SCOPED_TRACE(testing::Message() << "PLAIT_SEED=" << seed << " begins with this order");
    check(seed);
    if (testing::Test::HasFailure()) return;
  }
}

plait::task<> note(std::vector<int>& order, int id, plait::duration first = {}) {
  if (first > 0s) co_await plait::sleep(first);
  order.push_back(id);
}

std::vector<int> order_of_four(std::uint64_t seed, plait::duration first = {}) {
  std::vector<int> order;
  shuffled_schedule schedule(seed);
  run_under(schedule, [&]() -> plait::task<> {
    std::vector<plait::task<>> tasks;
    for (int i = 0; i < 4; ++i) tasks.push_back(note(order, i, first));
    co_await plait::gather(std::move(tasks));
  });
  return order;
}

TEST(Schedule, WithoutOneTasksBeginInOrder) {
  std::vector<int> order;
  virtual_run([&]() -> plait::task<> {
    co_await plait::gather(note(order, 0), note(order, 1), note(order, 2), note(order, 3));
  });
  EXPECT_EQ(order, (std::vector{0, 1, 2, 3}));
}

TEST(Schedule, EveryOrderOfReadyTasksIsDrawn) {
  std::set<std::vector<int>> orders;
  for (std::uint64_t seed = 0; seed < 1'000; ++seed) orders.insert(order_of_four(seed));
  EXPECT_EQ(orders.size(), 24u);
}

TEST(Schedule, EveryOrderOfTimersThatAreDueTogetherIsDrawn) {
  std::set<std::vector<int>> orders;
  for (std::uint64_t seed = 0; seed < 1'000; ++seed) orders.insert(order_of_four(seed, 1s));
  EXPECT_EQ(orders.size(), 24u);
}

// What one timer has set off may be done before the next one of the same moment fires, or not.
TEST(Schedule, ATimeoutRacesWithASleepThatEndsAtTheSameMoment) {
  std::set<bool> outcomes;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    shuffled_schedule schedule(seed);
    outcomes.insert(run_under(schedule, []() -> plait::task<bool> {
      co_return co_await throws<plait::timeout_error>(plait::timeout(1s, plait::sleep(1s)));
    }));
  }
  EXPECT_EQ(outcomes, (std::set<bool>{false, true}));
}

TEST(Schedule, AChoiceBeyondTheEndIsTheLast) {
  struct last_of_all final : plait::schedule {
    std::size_t choose(std::size_t count) noexcept override { return count; }
  } last;
  std::vector<int> order;
  run_under(last, [&]() -> plait::task<> {
    co_await plait::gather(note(order, 0), note(order, 1), note(order, 2));
  });
  EXPECT_EQ(order, (std::vector{2, 1, 0}));
}

// A program of everything that can wait, which tells what happened when.
plait::task<> busy(std::string& trace, plait::queue<int>& queue, plait::semaphore& semaphore,
                   int id) {
  const auto tell = [&](const char* what) {
    trace += what + std::to_string(id) + "@" +
             std::to_string(virtual_now().time_since_epoch().count()) + " ";
  };
  for (int i = 0; i < 3; ++i) {
    co_await plait::sleep(1ms * (id % 3));
    tell("slept ");
    const auto permit = co_await semaphore.acquire();
    tell("permit ");
    co_await queue.put(id);
    tell("put ");
    tell(co_await throws<plait::timeout_error>(plait::timeout(1ms, plait::sleep(1ms))) ? "late "
                                                                                       : "done ");
    trace += std::to_string(co_await queue.get());
    tell(" got ");
  }
}
std::string trace_of_busy(shuffled_schedule& schedule) {
  std::string trace;
  run_under(schedule, [&]() -> plait::task<> {
    plait::queue<int> queue{2};
    plait::semaphore semaphore{3};
    std::vector<plait::task<>> tasks;
    for (int i = 0; i < 6; ++i) tasks.push_back(busy(trace, queue, semaphore, i));
    co_await plait::gather(std::move(tasks));
  });
  return trace;
}

TEST(Schedule, TheSameSeedGoesTheSameWay) {
  std::set<std::string> traces;
  under_many_seeds([&](std::uint64_t seed) {
    shuffled_schedule first(seed), again(seed);
    const std::string trace = trace_of_busy(first);
    EXPECT_EQ(trace, trace_of_busy(again));
    EXPECT_EQ(first.way(), again.way());
    EXPECT_GT(first.choices(), 50u);
    traces.insert(trace);
  });
  EXPECT_EQ(traces.size(), seeds) << "two seeds went the same way";
}

TEST(Schedule, TimersFireInOrderOfDeadlineUnderEverySeed) {
  under_many_seeds([](std::uint64_t seed) {
    shuffled_schedule schedule(seed);
    std::vector<int> order;
    run_under(schedule, [&]() -> plait::task<> {
      std::vector<plait::task<>> tasks;
      for (int i = 0; i < 20; ++i) tasks.push_back(note(order, 19 - i, 1ms * (20 - i)));
      co_await plait::gather(std::move(tasks));
    });
    EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  });
}

TEST(Schedule, ASleepOfZeroLetsWhatIsReadyGoFirstUnderEverySeed) {
  under_many_seeds([](std::uint64_t seed) {
    shuffled_schedule schedule(seed);
    run_under(schedule, []() -> plait::task<> {
      std::vector<plait::future<>> ready;
      std::vector<int> order;
      for (int i = 0; i < 10; ++i) ready.push_back(plait::spawn(note(order, i)));
      co_await plait::sleep(0s);
      EXPECT_EQ(order.size(), 10u);
    });
  });
}

TEST(Schedule, AQueueIsFirstInFirstOutUnderEverySeed) {
  under_many_seeds([](std::uint64_t seed) {
    shuffled_schedule schedule(seed);
    run_under(schedule, []() -> plait::task<> {
      plait::queue<int> queue{2};
      const auto produce = [&]() -> plait::task<> {
        for (int i = 0; i < 20; ++i) {
          if (i % 5 == 0) co_await plait::sleep(0s);
          co_await queue.put(i);
        }
      };
      const auto consume = [&]() -> plait::task<> {
        for (int i = 0; i < 20; ++i) {
          if (i % 7 == 0) co_await plait::sleep(0s);
          EXPECT_EQ(co_await queue.get(), i);
        }
      };
      co_await plait::gather(produce(), consume());
    });
  });
}

// Who waits longest is served first, whoever runs first then.
TEST(Schedule, WaitingGettersGetItemsInTheOrderInWhichTheyCameUnderEverySeed) {
  under_many_seeds([](std::uint64_t seed) {
    shuffled_schedule schedule(seed);
    run_under(schedule, []() -> plait::task<> {
      plait::queue<int> queue;
      std::vector<int> came, got(6, -1);
      const auto getter = [&](int id) -> plait::task<> {
        came.push_back(id);
        got[static_cast<std::size_t>(id)] = co_await queue.get();
      };
      std::vector<plait::task<>> tasks;
      for (int i = 0; i < 6; ++i) tasks.push_back(getter(i));
      tasks.push_back([](plait::queue<int>& q) -> plait::task<> {
        co_await plait::sleep(1s);
        for (int i = 0; i < 6; ++i) q.put_nowait(i);
      }(queue));
      co_await plait::gather(std::move(tasks));
      for (int i = 0; i < 6; ++i) EXPECT_EQ(got[static_cast<std::size_t>(came[std::size_t(i)])], i);
    });
  });
}

TEST(Schedule, ASemaphoreServesFirstWhoCameFirstUnderEverySeed) {
  under_many_seeds([](std::uint64_t seed) {
    shuffled_schedule schedule(seed);
    run_under(schedule, []() -> plait::task<> {
      plait::semaphore semaphore{1};
      std::vector<int> came, served;
      const auto worker = [&](int id) -> plait::task<> {
        co_await plait::sleep(1ms * (id % 2));
        came.push_back(id);
        const auto permit = co_await semaphore.acquire();
        served.push_back(id);
        co_await plait::sleep(1ms);
      };
      std::vector<plait::task<>> tasks;
      for (int i = 0; i < 8; ++i) tasks.push_back(worker(i));
      co_await plait::gather(std::move(tasks));
      EXPECT_EQ(served, came);
    });
  });
}

TEST(Schedule, AShutdownCancelsWhatHasNotBegunAndEndsTheRest) {
  under_many_seeds([](std::uint64_t seed) {
    shuffled_schedule schedule(seed);
    plait::testing::virtual_clock clock;
    int begun = 0, ended = 0;
    {
      plait::event_loop loop({.clock = &clock, .schedule = &schedule});
      const auto body = [&]() -> plait::task<> {
        ++begun;
        co_await throws<plait::cancelled_error>(plait::sleep(1h));
        ++ended;
      };
      std::vector<plait::future<>> tasks;
      for (int i = 0; i < 10; ++i) tasks.push_back(loop.submit(body));
      tasks.push_back(loop.submit([&]() -> plait::task<> {
        loop.shutdown({.pending = plait::shutdown_options::pending_calls::cancel});
        co_return;
      }));
      loop.run();
      for (auto& t : tasks) EXPECT_TRUE(t.done());
    }
    EXPECT_EQ(begun, ended);
  });
}

TEST(Schedule, TenThousandReadyTasksAreNoTrouble) {
  shuffled_schedule schedule;
  std::vector<int> order;
  run_under(schedule, [&]() -> plait::task<> {
    std::vector<plait::task<>> tasks;
    for (int i = 0; i < 10'000; ++i) tasks.push_back(note(order, i, 1s));
    co_await plait::gather(std::move(tasks));
  });
  std::sort(order.begin(), order.end());
  std::vector<int> all(10'000);
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(order, all);
}

}  // namespace

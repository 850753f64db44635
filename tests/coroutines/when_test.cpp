// when and when_each wait for futures of any engine, and stop nobody.
#include "plait/coroutines/when.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

#include "plait/testing/unhandled_recorder.hpp"
#include "small_tasks.hpp"
#include "virtual_run.hpp"

using namespace std::chrono_literals;
using plait::future;
using plait::return_when;
using plait::task;

namespace {

std::vector<task<int>> tasks_of(const std::vector<int>& seconds) {
  std::vector<task<int>> tasks;
  for (const int s : seconds) tasks.push_back(after((s < 0 ? -s : s) * 1s, s));
  return tasks;
}
const std::vector<int> mixed{3, 1, -2, 4}, plain{3, 1, 2}, none;

TEST(When, AllCompletedWaitsForAllAndKeepsTheOrder) {
  virtual_run([]() -> task<> {
    const auto before = virtual_now();
    auto [done, not_done] = co_await plait::when(tasks_of(plain));
    EXPECT_EQ(virtual_now() - before, 3s);
    EXPECT_EQ(done.size(), 3u);
    EXPECT_TRUE(not_done.empty());
    for (std::size_t i = 0; i < done.size(); ++i) EXPECT_EQ(done[i].get(), plain[i]);
  });
}

TEST(When, FirstCompletedLeavesTheOthersRunning) {
  virtual_run([]() -> task<> {
    const auto before = virtual_now();
    auto [done, not_done] =
        co_await plait::when(tasks_of(plain), {.return_when = return_when::first_completed});
    EXPECT_EQ(virtual_now() - before, 1s);
    EXPECT_EQ(done.size(), 1u);
    EXPECT_EQ(done[0].get(), 1);
    EXPECT_EQ(not_done.size(), 2u);
    EXPECT_EQ(co_await not_done[0], 3);
    EXPECT_EQ(co_await not_done[1], 2);
  });
}

TEST(When, FirstExceptionReturnsAtTheFirstFailure) {
  virtual_run([]() -> task<> {
    const auto before = virtual_now();
    auto [done, not_done] =
        co_await plait::when(tasks_of(mixed), {.return_when = return_when::first_exception});
    EXPECT_EQ(virtual_now() - before, 2s);
    EXPECT_EQ(done.size(), 2u);
    EXPECT_EQ(done[0].get(), 1);
    EXPECT_TRUE(co_await throws<std::runtime_error>(done[1]));
    for (auto& f : not_done) co_await f;
    auto rest =
        co_await plait::when(tasks_of(plain), {.return_when = return_when::first_exception});
    EXPECT_EQ(rest.done.size(), 3u);
  });
}

// As wait() has it, and Python's.
TEST(When, FirstExceptionDoesNotReturnAtACancellation) {
  virtual_run([]() -> task<> {
    std::vector<plait::future<int>> all;
    for (int i = 1; i <= 3; ++i) all.push_back(plait::spawn(after(i * 1s, i)));
    all[0].cancel();
    const auto result = co_await plait::when(all, {.return_when = return_when::first_exception});
    EXPECT_EQ(result.done.size(), 3u);
    EXPECT_TRUE(result.done[0].cancelled());
  });
}

TEST(When, ATimeoutEndsTheWaitAndNothingElse) {
  virtual_run([]() -> task<> {
    auto result = co_await plait::when(tasks_of(plain), {.timeout = 1500ms});
    EXPECT_EQ(result.done.size(), 1u);
    EXPECT_EQ(result.not_done.size(), 2u);
    auto more = co_await plait::when(result.not_done, {.timeout = 0s});
    EXPECT_TRUE(more.done.empty());
    more = co_await plait::when(result.not_done);
    EXPECT_EQ(more.done.size(), 2u);
  });
}

TEST(When, OfNothingOrOfFinishedFuturesReturnsAtOnce) {
  virtual_run([]() -> task<> {
    EXPECT_TRUE((co_await plait::when(tasks_of(none))).done.empty());
    plait::promise<int> promise;
    promise.set_value(1);
    std::vector<future<int>> futures(3, promise.get_future());
    EXPECT_EQ((co_await plait::when(futures)).done.size(), 3u);
    EXPECT_EQ(
        (co_await plait::when(futures, {.return_when = return_when::first_completed})).done.size(),
        3u);
  });
}

TEST(When, FuturesOfDifferentTypesGoInAsAnyFuture) {
  virtual_run([]() -> task<> {
    std::vector<plait::any_future> futures;
    futures.push_back(plait::spawn(after(1s, 1)));
    futures.push_back(plait::spawn(let_others_run()));
    auto [done, not_done] = co_await plait::when(futures);
    EXPECT_EQ(done.size(), 2u);
    EXPECT_EQ(done[0], futures[0]);
    static_cast<void>(not_done);
  });
}

TEST(When, AnEmptyFutureIsRefused) {
  virtual_run([]() -> task<> {
    std::vector<future<int>> futures(1);
    EXPECT_THROW(static_cast<void>(plait::when(futures)), plait::invalid_state);
    EXPECT_THROW(static_cast<void>(plait::when_each(futures)), plait::invalid_state);
    co_return;
  });
}

TEST(When, AStopEndsTheWaitAndStopsNobody) {
  virtual_run([]() -> task<> {
    auto awaited = plait::spawn(after(10s, 5));
    const auto body = [&]() -> task<> {
      std::vector<future<int>> futures{awaited};
      co_await plait::when(futures);
    };
    const auto before = virtual_now();
    auto f = plait::spawn(body());
    co_await plait::sleep(1s);
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_EQ(virtual_now() - before, 1s);
    EXPECT_EQ(co_await awaited, 5);
  });
}

TEST(When, ACompletionAndAStopInOneTurnLeaveNothingBehind) {
  virtual_run([]() -> task<> {
    plait::promise<int> promise;
    const auto body = [&]() -> task<std::size_t> {
      std::vector<future<int>> futures{promise.get_future()};
      co_return (co_await plait::when(futures)).done.size();
    };
    auto f = plait::spawn(body());
    co_await let_others_run();
    f.cancel();
    promise.set_value(1);
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));

    plait::promise<int> other;
    const auto again = [&]() -> task<std::size_t> {
      std::vector<future<int>> futures{other.get_future()};
      co_return (co_await plait::when(futures)).done.size();
    };
    auto g = plait::spawn(again());
    co_await let_others_run();
    other.set_value(1);
    g.cancel();
    EXPECT_EQ(co_await g, 1u);
  });
}

TEST(When, FuturesOfAThreadPoolArriveOnTheLoop) {
  plait::thread_pool_executor pool(2);
  plait::run([](plait::thread_pool_executor& threads) -> task<> {
    for (int round = 0; round < 200; ++round) {
      std::vector<future<int>> futures;
      for (int i = 0; i < 20; ++i) futures.push_back(threads.submit([i] { return i; }));
      auto first = co_await plait::when(futures, {.return_when = return_when::first_completed});
      EXPECT_GE(first.done.size(), 1u);
      int sum = 0;
      auto each = plait::when_each(futures);
      while (auto f = co_await each.next()) sum += f->get();
      EXPECT_EQ(sum, 190);
    }
  }(pool));
}

// The wait is over while the pool's threads are still telling of their ends.
TEST(When, AStreamMayGoWhileFuturesFinish) {
  plait::thread_pool_executor pool(2);
  plait::run([](plait::thread_pool_executor& threads) -> task<> {
    for (int round = 0; round < 500; ++round) {
      std::vector<future<int>> futures;
      for (int i = 0; i < 8; ++i) futures.push_back(threads.submit([i] { return i; }));
      auto each = plait::when_each(futures);
      co_await each.next();
    }
  }(pool));
}

TEST(WhenEach, GivesResultsAsTheyCome) {
  virtual_run([]() -> task<> {
    std::string order;
    auto results = plait::when_each(tasks_of(plain));
    EXPECT_EQ(results.remaining(), 3u);
    while (auto f = co_await results.next()) order += std::to_string(f->get());
    EXPECT_EQ(order, "123");
    EXPECT_EQ(results.remaining(), 0u);
    EXPECT_FALSE((co_await results.next()).has_value());
  });
}

TEST(WhenEach, FinishedWhileNobodyWaitedAreGivenInTheirOrder) {
  virtual_run([]() -> task<> {
    std::string order;
    auto results = plait::when_each(tasks_of(plain));
    co_await plait::sleep(10s);
    while (auto f = co_await results.next()) order += std::to_string(f->get());
    EXPECT_EQ(order, "123");
  });
}

TEST(WhenEach, ThrowsWhenItsTimeoutPasses) {
  virtual_run([]() -> task<> {
    auto results = plait::when_each(tasks_of(plain), 1500ms);
    EXPECT_EQ((co_await results.next())->get(), 1);
    EXPECT_TRUE(co_await throws<plait::timeout_error>(results.next()));
    EXPECT_EQ(results.remaining(), 2u);
    EXPECT_TRUE(co_await throws<plait::timeout_error>(results.next()));
    co_await plait::sleep(10s);
    EXPECT_EQ((co_await results.next())->get(), 2);  // what is there is given all the same
  });
}

TEST(WhenEach, AStopEndsTheWaitAndTheStreamGoesOn) {
  virtual_run([]() -> task<> {
    auto results = plait::when_each(tasks_of(plain));
    const auto body = [&]() -> task<> { co_await results.next(); };
    auto f = plait::spawn(body());
    co_await plait::sleep(100ms);
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_EQ((co_await results.next())->get(), 1);
  });
}

TEST(WhenEach, TwoTasksCannotAwaitTheNextAtOnce) {
  virtual_run([]() -> task<> {
    auto results = plait::when_each(tasks_of(plain));
    const auto body = [&]() -> task<> { co_await results.next(); };
    auto f = plait::spawn(body());
    co_await let_others_run();
    EXPECT_TRUE(co_await throws<plait::invalid_state>(results.next()));
    co_await f;
  });
}

TEST(WhenEach, MayOutliveItsLoop) {
  plait::promise<int> promise;
  std::vector<future<int>> futures{promise.get_future()};
  std::optional<plait::completion_stream<int>> kept;
  virtual_run([&]() -> task<> {
    kept.emplace(plait::when_each(futures));
    co_return;
  });
  kept.reset();
  promise.set_value(1);
}

}  // namespace

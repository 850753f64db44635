// as_completed() and wait(): many futures at once, here of promises, so that the test decides.
#include "plait/core/completion.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "plait/testing/seed.hpp"

using namespace std::chrono_literals;
using plait::return_when;

namespace {

struct some_promises {
  explicit some_promises(int n) : promises(static_cast<std::size_t>(n)) {
    for (auto& p : promises) futures.push_back(p.get_future());
  }
  void fail(std::size_t i) {
    promises[i].set_exception(std::make_exception_ptr(std::runtime_error("failed")));
    static_cast<void>(futures[i].exception());
  }
  std::deque<plait::promise<int>> promises;
  std::vector<plait::future<int>> futures;
};

TEST(AsCompleted, GivesFuturesInTheOrderInWhichTheyFinish) {
  some_promises s(4);
  std::vector<int> order;
  auto finished = plait::as_completed(s.futures);
  for (const std::size_t i : {2, 0, 3, 1}) s.promises[i].set_value(static_cast<int>(i));
  for (const auto& f : finished) order.push_back(f.get());
  EXPECT_EQ(order, (std::vector<int>{2, 0, 3, 1}));
}

TEST(AsCompleted, GivesEachAsSoonAsItIsDone) {
  some_promises s(2);
  s.promises[1].set_value(1);
  auto finished = plait::as_completed(s.futures);
  auto it = finished.begin();
  EXPECT_EQ(it->get(), 1);
  s.promises[0].set_value(0);
  ++it;
  EXPECT_EQ((*it).get(), 0);
  ++it;
  EXPECT_TRUE(it == finished.end());
}

TEST(AsCompleted, FinishedBeforehandComeInTheOrderGiven) {
  some_promises s(3);
  for (const std::size_t i : {2, 1, 0}) s.promises[i].set_value(static_cast<int>(i));
  std::vector<int> order;
  for (const auto& f : plait::as_completed(s.futures)) order.push_back(f.get());
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2}));
}

TEST(AsCompleted, GivesFailuresAndCancellationsToo) {
  some_promises s(3);
  s.fail(0);
  s.futures[1].cancel();
  s.promises[2].set_value(2);
  int failed = 0, cancelled = 0, values = 0;
  for (const auto& f : plait::as_completed(s.futures))
    ++(f.cancelled() ? cancelled : f.exception() != nullptr ? failed : values);
  EXPECT_EQ(failed, 1);
  EXPECT_EQ(cancelled, 1);
  EXPECT_EQ(values, 1);
}

TEST(AsCompleted, OfNothingEndsAtOnce) {
  auto finished = plait::as_completed(std::vector<plait::future<int>>{});
  EXPECT_TRUE(finished.begin() == finished.end());
}

TEST(AsCompleted, GivesADuplicateAsOftenAsItWasGiven) {
  some_promises s(1);
  s.promises[0].set_value(0);
  int seen = 0;
  for (const auto& f : plait::as_completed(std::vector{s.futures[0], s.futures[0]})) {
    EXPECT_EQ(f, s.futures[0]);
    ++seen;
  }
  EXPECT_EQ(seen, 2);
}

TEST(AsCompleted, WhatIsDoneComesBeforeATimeoutOfZero) {
  some_promises s(4);
  s.fail(0);
  s.futures[1].cancel();
  s.promises[2].set_value(2);
  auto finished = plait::as_completed(s.futures, 0s);
  auto it = finished.begin();
  for (const std::size_t i : {0, 1}) {
    EXPECT_EQ(*it, s.futures[i]);
    ++it;
  }
  EXPECT_EQ(*it, s.futures[2]);
  EXPECT_THROW(++it, plait::timeout_error);
}

TEST(AsCompleted, LetsGoOfEachFutureWhenTheNextIsAskedFor) {
  std::vector<std::weak_ptr<int>> results;
  std::vector<plait::future<std::shared_ptr<int>>> futures;
  for (int i = 0; i < 8; ++i) {
    plait::promise<std::shared_ptr<int>> p;
    auto result = std::make_shared<int>(i);
    results.push_back(result);
    futures.push_back(p.get_future());
    p.set_value(std::move(result));
  }
  std::size_t seen = 0;
  for (const auto& f : plait::as_completed(std::move(futures))) {
    EXPECT_EQ(*f.get(), static_cast<int>(seen));
    for (std::size_t i = 0; i < results.size(); ++i) EXPECT_EQ(results[i].expired(), i < seen);
    ++seen;
  }
  EXPECT_EQ(seen, 8u);
}

TEST(AsCompleted, TakesTheKeysOfAMap) {
  some_promises s(2);
  std::map<plait::future<int>, std::string> names{{s.futures[0], "first"},
                                                  {s.futures[1], "second"}};
  auto finished = plait::as_completed(names | std::views::keys);
  s.promises[1].set_value(1);
  s.promises[0].set_value(0);
  std::vector<std::string> order;
  for (const auto& f : finished) order.push_back(names.at(f));
  EXPECT_EQ(order, (std::vector<std::string>{"second", "first"}));
}

TEST(AsCompleted, TimeoutThrowsAndSaysHowManyAreLeft) {
  some_promises s(3);
  s.promises[0].set_value(0);
  auto finished = plait::as_completed(s.futures, 1ms);
  auto it = finished.begin();
  EXPECT_EQ(it->get(), 0);
  try {
    ++it;
    FAIL() << "nothing more was finished";
  } catch (const plait::timeout_error& e) {
    EXPECT_NE(std::string(e.what()).find('2'), std::string::npos) << e.what();
  }
  EXPECT_FALSE(s.futures[1].done()) << "the others go on";
}

TEST(AsCompleted, LeavingEarlyLeavesTheOthersRunning) {
  some_promises s(3);
  s.promises[1].set_value(1);
  for (const auto& f : plait::as_completed(s.futures)) {
    EXPECT_EQ(f.get(), 1);
    break;
  }
  EXPECT_TRUE(s.promises[0].set_value(0));
  EXPECT_EQ(s.futures[0].get(), 0);
}

TEST(AsCompleted, RefusesEmptyFutures) {
  EXPECT_THROW(static_cast<void>(plait::as_completed(std::vector<plait::future<int>>(1))),
               plait::invalid_state);
}

TEST(AsCompleted, FromManyThreadsGivesEachOnce) {
  plait::testing::random_source random;
  for (int round = 0; round < 50; ++round) {
    some_promises s(64);
    std::vector<std::thread> producers;
    for (std::size_t t = 0; t < 4; ++t)
      producers.emplace_back([&s, t, mine = random.split()]() mutable {
        for (std::size_t i = t; i < 64; i += 4) {
          if (mine.one_in(3)) std::this_thread::yield();
          s.promises[i].set_value(static_cast<int>(i));
        }
      });
    std::vector<int> times(64);
    const std::size_t leave_after = round % 2 == 0 ? 64 : random.below(64);
    std::size_t seen = 0;
    for (const auto& f : plait::as_completed(s.futures)) {
      ++times[static_cast<std::size_t>(f.get())];
      if (++seen >= leave_after) break;  // the range dies while producers still notify it
    }
    for (auto& p : producers) p.join();
    for (const int n : times) EXPECT_LE(n, 1);
    EXPECT_EQ(seen, std::max<std::size_t>(leave_after, 1));
  }
}

TEST(Wait, AllCompletedGivesBothListsInTheOrderGiven) {
  some_promises s(3);
  for (const std::size_t i : {2, 0, 1}) s.promises[i].set_value(static_cast<int>(i));
  const auto [done, not_done] = plait::wait(s.futures);
  EXPECT_EQ(done, s.futures);
  EXPECT_TRUE(not_done.empty());
}

TEST(Wait, FirstCompletedReturnsAtTheFirst) {
  some_promises s(3);
  s.promises[1].set_value(1);
  const auto result = plait::wait(s.futures, {.return_when = return_when::first_completed});
  EXPECT_EQ(result.done, (std::vector{s.futures[1]}));
  EXPECT_EQ(result.not_done, (std::vector{s.futures[0], s.futures[2]}));
  EXPECT_FALSE(s.futures[0].cancelled()) << "it never cancels the losers";
}

TEST(Wait, FirstExceptionReturnsAtTheFirstFailure) {
  some_promises s(3);
  s.promises[0].set_value(0);
  s.fail(2);
  const auto result = plait::wait(s.futures, {.return_when = return_when::first_exception});
  EXPECT_EQ(result.done, (std::vector{s.futures[0], s.futures[2]}));
  EXPECT_EQ(result.not_done, (std::vector{s.futures[1]}));
}

TEST(Wait, FirstExceptionWithoutAFailureWaitsForAll) {
  some_promises s(2);
  std::thread producer([&] {
    s.promises[1].set_value(1);
    s.promises[0].set_value(0);
  });
  const auto result = plait::wait(s.futures, {.return_when = return_when::first_exception});
  EXPECT_EQ(result.done.size(), 2u);
  producer.join();
}

TEST(Wait, ADuplicateIsGivenAsOftenAsItWasGiven) {  // CPython issue 20369: it hung
  some_promises s(1);
  std::thread producer([&] { s.promises[0].set_value(0); });
  const auto result = plait::wait(std::vector{s.futures[0], s.futures[0]});
  EXPECT_EQ(result.done, (std::vector{s.futures[0], s.futures[0]}));
  producer.join();
}

TEST(Wait, FirstCompletedGivesAllThatAreDoneAlready) {
  some_promises s(4);
  s.fail(0);
  s.futures[1].cancel();
  s.promises[3].set_value(3);
  const auto result = plait::wait(s.futures, {.return_when = return_when::first_completed});
  EXPECT_EQ(result.done, (std::vector{s.futures[0], s.futures[1], s.futures[3]}));
  EXPECT_EQ(result.not_done, (std::vector{s.futures[2]}));
}

TEST(Wait, FirstExceptionReturnsAtOnceWhenOneHasFailedAlready) {
  some_promises s(2);
  s.fail(0);
  const auto result = plait::wait(s.futures, {.return_when = return_when::first_exception});
  EXPECT_EQ(result.done, (std::vector{s.futures[0]}));
  EXPECT_EQ(result.not_done, (std::vector{s.futures[1]}));
}

// It returned at a cancellation, which CPython does not take for a failure.
TEST(Wait, FirstExceptionGoesOnAfterACancellation) {
  some_promises s(3);
  s.futures[0].cancel();
  std::thread producer([&] {
    s.promises[1].set_value(1);
    s.fail(2);
  });
  const auto result = plait::wait(s.futures, {.return_when = return_when::first_exception});
  EXPECT_EQ(result.done, s.futures);
  producer.join();
}

TEST(Wait, AllCompletedCountsFailuresAndCancellations) {
  some_promises s(3);
  s.fail(0);
  s.futures[1].cancel();
  s.promises[2].set_value(2);
  EXPECT_EQ(plait::wait(s.futures).done, s.futures);
}

TEST(Wait, TimeoutReturnsWhatIsDone) {
  some_promises s(2);
  s.promises[1].set_value(1);
  for (const plait::duration span :
       {plait::duration(-1s), plait::duration(0), plait::duration(1ms)}) {
    const auto result = plait::wait(s.futures, {.timeout = span});
    EXPECT_EQ(result.done, (std::vector{s.futures[1]}));
    EXPECT_EQ(result.not_done, (std::vector{s.futures[0]}));
  }
}

TEST(Wait, OfNothingReturnsAtOnce) {
  EXPECT_TRUE(plait::wait(std::vector<plait::future<int>>{}).done.empty());
  EXPECT_TRUE(
      plait::wait(std::vector<plait::any_future>{}, {.return_when = return_when::first_completed})
          .not_done.empty());
}

TEST(Wait, TakesFuturesOfDifferentTypesAsAnyFuture) {
  plait::promise<int> number;
  plait::promise<std::string> text;
  const std::vector<plait::any_future> all{number.get_future(), text.get_future()};
  text.set_value("done");
  const auto result = plait::wait(all, {.return_when = return_when::first_completed});
  ASSERT_EQ(result.done.size(), 1u);
  EXPECT_EQ(result.done[0], all[1]);
}

}  // namespace

// What a future promises, whatever produces its result.
#include "plait/core/future.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "plait/testing/unhandled_recorder.hpp"

using namespace std::chrono_literals;

namespace {

template <class T, class... Args>
plait::future<T> ready(Args&&... args) {
  plait::promise<T> p;
  auto f = p.get_future();
  p.set_value(std::forward<Args>(args)...);
  return f;
}

// Counts how often it was copied; a moved-from one says so.
struct counted {
  explicit counted(int& c) : copies(&c) {}
  counted(const counted& other) : copies(other.copies) { ++*copies; }
  counted(counted&& other) noexcept : copies(other.copies) { other.moved_from = true; }
  int* copies;
  bool moved_from = false;
};

TEST(Future, GivesItsValueToEveryCopy) {
  const auto f = ready<std::string>("value");
  const auto copy = f;
  EXPECT_EQ(f.get(), "value");
  EXPECT_EQ(&f.get(), &copy.get());
}

TEST(Future, OfVoidGivesNothingButIsDone) {
  const auto f = ready<void>();
  f.get();
  EXPECT_TRUE(f.done());
  EXPECT_EQ(f.exception(), nullptr);
}

TEST(Future, HoldsMoveOnlyValues) {
  auto f = ready<std::unique_ptr<int>>(std::make_unique<int>(7));
  EXPECT_EQ(*f.get(), 7);
  const std::unique_ptr<int> taken = std::move(f).get();
  EXPECT_EQ(*taken, 7);
}

TEST(Future, HoldsValuesThatAreNeitherDefaultConstructibleNorAssignable) {
  struct stubborn {
    explicit stubborn(int n) : number(n) {}
    stubborn(stubborn&&) = default;
    stubborn& operator=(stubborn&&) = delete;
    const int number;
  };
  EXPECT_EQ(ready<stubborn>(5).get().number, 5);
}

TEST(Future, HoldsOverAlignedValues) {
  struct alignas(128) wide {
    explicit wide(char fill) { bytes[0] = fill; }
    char bytes[128];
  };
  std::vector<plait::future<wide>> all;
  for (int i = 0; i < 16; ++i) all.push_back(ready<wide>('x'));
  for (const auto& f : all)
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(&f.get()) % alignof(wide), 0u);
}

TEST(Future, ValueIsDestroyedOnceWithTheLastHandle) {
  auto watched = std::make_shared<int>(1);
  {
    const auto f = ready<std::shared_ptr<int>>(watched);
    const auto copy = f;
    EXPECT_EQ(watched.use_count(), 2);
  }
  EXPECT_EQ(watched.use_count(), 1);
}

TEST(Future, GetOfTheLastHandleMovesTheValueOut) {
  int copies = 0;
  auto f = ready<counted>(copies);
  const counted taken = std::move(f).get();
  EXPECT_EQ(copies, 0);
  EXPECT_FALSE(taken.moved_from);
}

TEST(Future, GetOfAnRvalueCopiesWhileOtherHandlesExist) {
  int copies = 0;
  auto f = ready<counted>(copies);
  const auto other = f;
  static_cast<void>(std::move(f).get());
  EXPECT_EQ(copies, 1);
  EXPECT_FALSE(other.get().moved_from);
}

TEST(Future, RethrowsTheSameExceptionToEveryCopy) {
  plait::promise<int> p;
  const auto f = p.get_future();
  p.set_exception(std::make_exception_ptr(std::out_of_range("no such thing")));
  for (const auto& each : {f, f}) {
    try {
      each.get();
      FAIL() << "get() gave a value";
    } catch (const std::out_of_range& e) {
      EXPECT_STREQ(e.what(), "no such thing");
    }
  }
  EXPECT_NE(f.exception(), nullptr);
  EXPECT_FALSE(f.cancelled());
}

TEST(Future, CancelledFutureSaysSoEverywhere) {
  plait::promise<int> p;
  const auto f = p.get_future();
  EXPECT_TRUE(f.cancel());
  EXPECT_TRUE(f.done());
  EXPECT_TRUE(f.cancelled());
  EXPECT_THROW(f.get(), plait::cancelled_error);
  EXPECT_THROW(std::rethrow_exception(f.exception()), plait::cancelled_error);
  EXPECT_FALSE(f.cancel()) << "it is done already";
}

TEST(Future, CancelOfADoneFutureSaysFalseAndChangesNothing) {
  const auto f = ready<int>(3);
  EXPECT_FALSE(f.cancel());
  EXPECT_EQ(f.get(), 3);
}

TEST(Future, EmptyHandleThrowsInvalidStateInsteadOfCrashing) {
  const plait::future<int> empty;
  EXPECT_FALSE(empty.valid());
  EXPECT_THROW(empty.get(), plait::invalid_state);
  EXPECT_THROW(empty.wait(), plait::invalid_state);
  EXPECT_THROW(empty.done(), plait::invalid_state);
  EXPECT_THROW(empty.running(), plait::invalid_state);
  EXPECT_THROW(empty.cancelled(), plait::invalid_state);
  EXPECT_THROW(empty.cancel(), plait::invalid_state);
  EXPECT_THROW(empty.exception(), plait::invalid_state);
  EXPECT_THROW(empty.wait_for(1ms), plait::invalid_state);
  EXPECT_THROW(empty.add_done_callback([](const plait::future<int>&) {}), plait::invalid_state);
  auto moved = ready<int>(1);
  const auto target = std::move(moved);
  EXPECT_FALSE(moved.valid());
  EXPECT_TRUE(target.valid());
}

TEST(Future, OrdersHashesAndComparesByIdentity) {
  const auto a = ready<int>(1), b = ready<int>(1);
  EXPECT_NE(a, b);
  EXPECT_TRUE((a < b) != (b < a));
  const auto copy = a;
  EXPECT_EQ(a, copy);
  EXPECT_TRUE((a <=> copy) == 0);
  EXPECT_EQ(std::hash<plait::future<int>>{}(a), std::hash<plait::future<int>>{}(copy));
  EXPECT_EQ((std::set<plait::future<int>>{a, b, copy}.size()), 2u);
  EXPECT_EQ((std::unordered_set<plait::future<int>>{a, b, copy}.size()), 2u);
  const plait::any_future untyped = a;
  EXPECT_EQ(untyped, plait::any_future(copy));
}

TEST(Future, SelfAssignmentKeepsTheResult) {
  auto f = ready<int>(4);
  auto& same = f;
  f = same;
  EXPECT_EQ(f.get(), 4);
}

TEST(Future, TimedWaitsEndWithoutAResult) {
  plait::promise<int> p;
  const auto f = p.get_future();
  EXPECT_FALSE(f.wait_for(0ns));
  EXPECT_FALSE(f.wait_for(100us));
  EXPECT_FALSE(f.wait_until(std::chrono::steady_clock::now() + 100us));
  EXPECT_FALSE(f.wait_until(plait::time_point::min()));
  p.set_value(1);
  EXPECT_TRUE(f.wait_for(0ns));
}

TEST(Future, TimedWaitsTakeSpansFromThePastAndBeyondTheEndOfTime) {
  plait::promise<int> p;
  const auto f = p.get_future();
  EXPECT_FALSE(f.wait_for(-1s));
  EXPECT_FALSE(f.wait_for(std::chrono::hours::min()));
  EXPECT_FALSE(f.wait_for(std::chrono::duration<double>(-1e300)));
  std::thread producer([&] { p.set_value(1); });
  EXPECT_TRUE(f.wait_for(std::chrono::hours::max()));
  producer.join();
}

TEST(Future, WaitersOnManyThreadsAllWake) {
  plait::promise<int> p;
  const auto f = p.get_future();
  std::vector<std::thread> waiters;
  std::atomic<int> sum{0};
  for (int i = 0; i < 8; ++i)
    waiters.emplace_back([f, &sum, i] { sum += i % 2 != 0 ? f.get() : (f.wait_for(1h), f.get()); });
  p.set_value(5);
  for (auto& w : waiters) w.join();
  EXPECT_EQ(sum, 40);
}

TEST(Future, CancelWakesAThreadThatWaits) {
  for (int round = 0; round < 200; ++round) {
    const plait::promise<int> p;
    const auto f = p.get_future();
    std::thread waiter([f] { EXPECT_THROW(f.get(), plait::cancelled_error); });
    EXPECT_TRUE(f.cancel());
    waiter.join();
  }
}

TEST(Future, AThreadThatWaitsForTheExceptionWakesToIt) {
  for (int round = 0; round < 200; ++round) {
    plait::promise<int> p;
    std::thread waiter([f = p.get_future()] {
      EXPECT_THROW(std::rethrow_exception(f.exception()), std::out_of_range);
    });
    p.set_exception(std::make_exception_ptr(std::out_of_range("late")));
    waiter.join();
  }
}

TEST(Future, ATimedWaitIsOverAtOnceWhateverTheResultIs) {
  plait::promise<int> failed, cancelled;
  const auto f = failed.get_future(), c = cancelled.get_future();
  failed.set_exception(std::make_exception_ptr(std::out_of_range("no such thing")));
  c.cancel();
  for (const auto& each : {ready<int>(1), f, c}) EXPECT_TRUE(each.wait_for(0ns));
  EXPECT_THROW(f.get(), std::out_of_range);
  EXPECT_THROW(c.get(), plait::cancelled_error);
}

TEST(DoneCallback, RunsOnceWhenTheResultComes) {
  plait::promise<int> p;
  int seen = 0;
  p.get_future().add_done_callback([&](const plait::future<int>& f) { seen += f.get(); });
  EXPECT_EQ(seen, 0);
  p.set_value(9);
  EXPECT_EQ(seen, 9);
}

TEST(DoneCallback, RunsHereAndNowWhenTheResultIsThere) {
  int seen = 0;
  ready<int>(9).add_done_callback([&](const plait::future<int>& f) { seen = f.get(); });
  EXPECT_EQ(seen, 9);
}

TEST(DoneCallback, HearsOfCancellation) {
  plait::promise<int> p;
  bool cancelled = false;
  const auto f = p.get_future();
  f.add_done_callback([&](const plait::future<int>& done) { cancelled = done.cancelled(); });
  f.cancel();
  EXPECT_TRUE(cancelled);
}

TEST(DoneCallback, HearsOfAnException) {
  const plait::testing::unhandled_recorder unhandled;
  plait::promise<int> p;
  std::exception_ptr heard;
  p.get_future().add_done_callback(
      [&](const plait::future<int>& done) { heard = done.exception(); });
  p.set_exception(std::make_exception_ptr(std::out_of_range("no such thing")));
  EXPECT_THROW(std::rethrow_exception(heard), std::out_of_range);
  EXPECT_EQ(unhandled.count(), 0u) << "the callback has seen it";
}

TEST(DoneCallback, OfAFailedOrCancelledFutureRunsHereAndNow) {
  plait::promise<int> failed, cancelled;
  const auto f = failed.get_future(), c = cancelled.get_future();
  failed.set_exception(std::make_exception_ptr(std::out_of_range("no such thing")));
  c.cancel();
  bool heard_failure = false, heard_cancellation = false;
  f.add_done_callback(
      [&](const plait::future<int>& done) { heard_failure = done.exception() != nullptr; });
  c.add_done_callback(
      [&](const plait::future<int>& done) { heard_cancellation = done.cancelled(); });
  EXPECT_TRUE(heard_failure);
  EXPECT_TRUE(heard_cancellation);
}

TEST(DoneCallback, ThatThrowsHereAndNowReachesTheHandlerAndNotTheCaller) {
  const plait::testing::unhandled_recorder unhandled;
  EXPECT_NO_THROW(ready<int>(5).add_done_callback(
      [](const plait::future<int>&) { throw std::runtime_error("at once"); }));
  ASSERT_EQ(unhandled.count(), 1u);
  EXPECT_EQ(unhandled.entries()[0].message, "at once");
}

TEST(DoneCallback, RunInTheOrderInWhichTheyWereAdded) {
  plait::promise<int> p;
  const auto f = p.get_future();
  std::vector<int> order;
  for (int i = 0; i < 10; ++i)
    f.add_done_callback([&order, i](const plait::future<int>&) { order.push_back(i); });
  p.set_value(0);
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST(DoneCallback, ThatThrowsReachesTheHandlerAndStopsNobody) {
  const plait::testing::unhandled_recorder unhandled;
  plait::promise<int> p;
  bool second = false;
  const auto f = p.get_future();
  f.add_done_callback(
      [](const plait::future<int>&) { throw std::runtime_error("from a callback"); });
  f.add_done_callback([&](const plait::future<int>&) { second = true; });
  p.set_value(1);
  EXPECT_TRUE(second);
  ASSERT_EQ(unhandled.count(), 1u);
  EXPECT_EQ(unhandled.entries()[0].message, "from a callback");
  EXPECT_NE(unhandled.entries()[0].origin.find("done callback"), std::string::npos);
}

TEST(DoneCallback, MayAddAnother) {
  plait::promise<int> p;
  bool inner = false;
  p.get_future().add_done_callback([&](const plait::future<int>& f) {
    f.add_done_callback([&](const plait::future<int>&) { inner = true; });
  });
  p.set_value(1);
  EXPECT_TRUE(inner);
}

TEST(DoneCallback, IsDestroyedAfterItsCall) {
  auto watched = std::make_shared<int>(0);
  plait::promise<int> p;
  p.get_future().add_done_callback([watched](const plait::future<int>&) {});
  EXPECT_EQ(watched.use_count(), 2);
  p.set_value(1);
  EXPECT_EQ(watched.use_count(), 1);
}

}  // namespace

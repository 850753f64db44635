#include "plait/core/then.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "plait/testing/unhandled_recorder.hpp"

namespace {

TEST(Then, CallsItsFunctionWithTheFinishedFuture) {
  plait::promise<int> p;
  const auto text = plait::then(
      p.get_future(), [](const plait::future<int>& f) { return std::to_string(f.get()) + "!"; });
  EXPECT_FALSE(text.done());
  p.set_value(4);
  EXPECT_EQ(text.get(), "4!");
}

TEST(Then, OfAFinishedFutureRunsHereAndNow) {
  plait::promise<int> p;
  p.set_value(4);
  bool ran = false;
  const auto f =
      plait::then(p.get_future(), [&](const plait::future<int>& done) { ran = done.get() == 4; });
  EXPECT_TRUE(ran);
  f.get();
}

TEST(Then, FailureReachesTheFunctionAndItsOwnFailureTheResult) {
  const plait::testing::unhandled_recorder unhandled;
  plait::promise<int> p;
  const auto next =
      plait::then(p.get_future(), [](const plait::future<int>& f) { return f.get(); });
  p.set_exception(std::make_exception_ptr(std::out_of_range("first")));
  EXPECT_THROW(next.get(), std::out_of_range);
  EXPECT_EQ(unhandled.count(), 0u);
}

TEST(Then, DroppedFirstPromiseIsAFailureToo) {
  plait::future<int> next;
  {
    plait::promise<int> p;
    next = plait::then(p.get_future(), [](const plait::future<int>& f) { return f.get(); });
  }
  EXPECT_THROW(next.get(), plait::broken_promise);
}

TEST(Then, CancelledBeforeItsTurnNeverRuns) {
  plait::promise<int> p;
  bool ran = false;
  const auto next = plait::then(p.get_future(), [&](const plait::future<int>&) { ran = true; });
  EXPECT_TRUE(next.cancel());
  EXPECT_TRUE(p.set_value(1)) << "the first future is not cancelled";
  EXPECT_FALSE(ran);
}

TEST(Then, CanBeChained) {
  plait::promise<int> p;
  auto f = p.get_future();
  for (int i = 0; i < 100; ++i)
    f = plait::then(f, [](const plait::future<int>& done) { return done.get() + 1; });
  p.set_value(0);
  EXPECT_EQ(f.get(), 100);
}

}  // namespace

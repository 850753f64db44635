// The producing end: who gives a result, and what becomes of a promise that gives none.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>

#include "plait/core/future.hpp"
#include "plait/testing/unhandled_recorder.hpp"

namespace {

using plait::testing::unhandled_recorder;

// Invariant 1: a future never hangs because someone went away.
TEST(Invariant1NoFutureHangs, DroppedPromiseLeavesBrokenPromise) {
  plait::future<int> f;
  {
    const plait::promise<int> p;
    f = p.get_future();
    EXPECT_FALSE(f.done());
  }
  EXPECT_TRUE(f.done());
  EXPECT_THROW(f.get(), plait::broken_promise);
}

TEST(Invariant1NoFutureHangs, DroppedPromiseWakesASleepingThread) {
  auto p = std::make_unique<plait::promise<int>>();
  std::thread waiter([f = p->get_future()] { EXPECT_THROW(f.get(), plait::broken_promise); });
  p.reset();
  waiter.join();
}

TEST(Invariant1NoFutureHangs, PromiseThatIsAssignedOverBreaksItsFuture) {
  plait::promise<int> p;
  const auto f = p.get_future();
  p = plait::promise<int>();
  EXPECT_THROW(f.get(), plait::broken_promise);
}

TEST(Promise, DroppedWithoutAListenerTellsNobody) {
  const unhandled_recorder unhandled;
  { const plait::promise<int> p; }
  { const auto f = plait::promise<int>().get_future(); }
  EXPECT_EQ(unhandled.count(), 0u);
}

TEST(Promise, GivesAnyNumberOfFutures) {
  plait::promise<std::string> p;
  const auto a = p.get_future(), b = p.get_future();
  EXPECT_EQ(a, b);
  EXPECT_TRUE(p.set_value(3, 'x'));
  EXPECT_EQ(a.get(), "xxx");
  EXPECT_EQ(p.get_future().get(), "xxx");
}

TEST(Promise, RefusesASecondResult) {
  plait::promise<int> p;
  EXPECT_TRUE(p.set_value(1));
  EXPECT_THROW(p.set_value(2), plait::invalid_state);
  EXPECT_THROW(p.set_exception(std::make_exception_ptr(1)), plait::invalid_state);
  EXPECT_EQ(p.get_future().get(), 1);
}

TEST(Promise, MovedFromRefusesEverything) {
  plait::promise<int> p;
  plait::promise<int> q = std::move(p);
  EXPECT_THROW(p.set_value(1), plait::invalid_state);
  EXPECT_THROW(p.get_future(), plait::invalid_state);
  EXPECT_FALSE(p.cancelled());
  EXPECT_TRUE(q.set_value(2));
}

TEST(Promise, SeesThatItsFutureWasCancelledAndItsResultIsDropped) {
  plait::promise<int> p;
  const auto f = p.get_future();
  EXPECT_FALSE(p.cancelled());
  EXPECT_TRUE(f.cancel());
  EXPECT_TRUE(p.cancelled());
  EXPECT_FALSE(p.set_value(1)) << "the result came too late";
  EXPECT_TRUE(f.cancelled());
  EXPECT_THROW(p.set_value(2), plait::invalid_state);
}

TEST(Promise, ExceptionThatComesTooLateIsDroppedSilently) {
  const unhandled_recorder unhandled;
  plait::promise<int> p;
  p.get_future().cancel();
  EXPECT_FALSE(p.set_exception(std::make_exception_ptr(std::runtime_error("late"))));
  EXPECT_EQ(unhandled.count(), 0u);
}

TEST(Promise, ValueWhoseConstructorThrowsBecomesThatException) {
  struct fussy {
    explicit fussy(int) { throw std::domain_error("cannot be built"); }
  };
  plait::promise<fussy> p;
  const auto f = p.get_future();
  EXPECT_TRUE(p.set_value(1));
  EXPECT_THROW(f.get(), std::domain_error);
}

TEST(Promise, RefusesANullException) {
  plait::promise<int> p;
  const auto f = p.get_future();
  EXPECT_THROW(p.set_exception(nullptr), plait::invalid_state);
  EXPECT_FALSE(f.done());
  EXPECT_TRUE(p.set_value(1)) << "a refused result leaves the promise open";
  EXPECT_EQ(f.get(), 1);
}

TEST(Promise, OutlivesItsFutures) {
  plait::promise<std::string> p;
  { const auto f = p.get_future(); }
  EXPECT_TRUE(p.set_value("nobody listens"));
}

// Invariant 4: no silent failure.
TEST(Invariant4NoSilentFailure, ExceptionNobodyRetrievedReachesTheHandlerOnce) {
  const unhandled_recorder unhandled;
  {
    plait::promise<int> p;
    const auto f = p.get_future();
    const auto copy = f;
    p.set_exception(std::make_exception_ptr(std::runtime_error("lost")));
    EXPECT_EQ(unhandled.count(), 0u) << "somebody may still ask";
  }
  ASSERT_EQ(unhandled.count(), 1u);
  EXPECT_EQ(unhandled.entries()[0].message, "lost");
  EXPECT_NE(unhandled.entries()[0].origin.find("promise"), std::string::npos);
}

TEST(Invariant4NoSilentFailure, ExceptionThatWasSeenIsNotReported) {
  const unhandled_recorder unhandled;
  for (const auto look : {0, 1}) {
    plait::promise<int> p;
    const auto f = p.get_future();
    p.set_exception(std::make_exception_ptr(std::runtime_error("seen")));
    if (look == 0)
      EXPECT_THROW(f.get(), std::runtime_error);
    else
      EXPECT_NE(f.exception(), nullptr);
  }
  EXPECT_EQ(unhandled.count(), 0u);
}

TEST(Invariant4NoSilentFailure, DefaultHandlerWritesTheTypeTheMessageAndTheOrigin) {
  ::testing::internal::CaptureStderr();
  {
    plait::promise<int> p;
    p.set_exception(std::make_exception_ptr(std::out_of_range("row 7")));
  }
  const std::string text = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(text.find("std::out_of_range: row 7"), std::string::npos) << text;
  EXPECT_NE(text.find("result of a promise"), std::string::npos) << text;
}

TEST(Invariant4NoSilentFailure, SettingTheHandlerGivesThePreviousOne) {
  const plait::unhandled_exception_handler mine = [](const plait::unhandled_exception&) noexcept {};
  const auto original = plait::set_unhandled_exception_handler(mine);
  EXPECT_EQ(plait::set_unhandled_exception_handler(nullptr), mine);
  EXPECT_EQ(plait::set_unhandled_exception_handler(original), original) << "null restores it";
}

}  // namespace

// Shielded work is not interrupted, and the stop is not forgotten; clean-up always runs.
#include "plait/coroutines/shield.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "plait/testing/unhandled_recorder.hpp"
#include "small_tasks.hpp"
#include "virtual_run.hpp"

using namespace std::chrono_literals;
using plait::task;

namespace {

TEST(Shield, GivesWhatItsOperandGives) {
  virtual_run([]() -> task<> {
    EXPECT_EQ(co_await plait::shield(after(1s, 4)), 4);
    co_await plait::shield(plait::sleep(1s));
    const auto fails = []() -> task<> {
      throw std::out_of_range("x");
      co_return;
    };
    EXPECT_TRUE(co_await throws<std::out_of_range>(plait::shield(fails())));
  });
}

TEST(Shield, AStopWaitsAndTakesEffectAtTheNextAwait) {
  virtual_run([]() -> task<> {
    const auto before = virtual_now();
    int got = 0;
    bool went_on = false;
    const auto body = [&]() -> task<> {
      got = co_await plait::shield(after(10s, 5));
      EXPECT_TRUE(plait::current_task().stopping());
      co_await plait::sleep(1s);
      went_on = true;
    };
    auto f = plait::spawn(body());
    co_await plait::sleep(1s);
    EXPECT_TRUE(f.cancel());
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_EQ(got, 5);
    EXPECT_FALSE(went_on);
    EXPECT_EQ(virtual_now() - before, 10s);
  });
}

TEST(Shield, WorksInATaskThatIsStoppingAlready) {
  virtual_run([]() -> task<> {
    int got = 0;
    const auto body = [&]() -> task<> {
      co_await throws<plait::cancelled_error>(plait::sleep(1h));
      got = co_await plait::shield(after(10s, 6));
      co_await plait::sleep(0s);
    };
    auto f = plait::spawn(body());
    co_await plait::sleep(1s);
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_EQ(got, 6);
  });
}

TEST(Shield, ATimeoutOutsideWaitsAndOneInsideWorks) {
  virtual_run([]() -> task<> {
    const auto before = virtual_now();
    EXPECT_EQ(co_await plait::timeout(1s, plait::shield(after(5s, 7))), 7);
    EXPECT_EQ(virtual_now() - before, 5s);
    EXPECT_TRUE(
        co_await throws<plait::timeout_error>(plait::shield(plait::timeout(1s, plait::sleep(1h)))));
    EXPECT_EQ(virtual_now() - before, 6s);
  });
}

TEST(Shield, ProtectsOneChildOfAGroupThatFails) {
  virtual_run([]() -> task<> {
    bool committed = false;
    const auto commit = [&]() -> task<> {
      co_await plait::shield(plait::sleep(10s));
      committed = true;
    };
    const auto fails = []() -> task<> {
      co_await plait::sleep(1s);
      throw std::runtime_error("x");
    };
    EXPECT_TRUE(co_await throws<std::runtime_error>(plait::gather(commit(), fails())));
    EXPECT_TRUE(committed);
  });
}

TEST(Shield, WhenTheLoopEndsTheShieldedWorkIsFinished) {
  bool finished = false;
  const auto work = [&]() -> task<> {
    co_await plait::shield(plait::sleep(10s));
    finished = true;
  };
  virtual_run([&]() -> task<> {
    plait::spawn(work());
    co_await plait::sleep(1s);
  });
  EXPECT_TRUE(finished);
}

TEST(Finally, RunsTheCleanUpAfterSuccessFailureAndStop) {
  virtual_run([]() -> task<> {
    int cleaned = 0;
    const auto clean_up = [&]() -> task<> {
      co_await plait::sleep(1s);
      ++cleaned;
    };
    EXPECT_EQ(co_await plait::finally(after(1s, 8), clean_up), 8);
    EXPECT_EQ(cleaned, 1);

    const auto fails = []() -> task<> {
      throw std::out_of_range("work");
      co_return;
    };
    EXPECT_TRUE(co_await throws<std::out_of_range>(plait::finally(fails(), clean_up)));
    EXPECT_EQ(cleaned, 2);

    auto f = plait::spawn(plait::finally(plait::sleep(1h), clean_up));
    co_await plait::sleep(1s);
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_EQ(cleaned, 3);
    EXPECT_TRUE(f.cancelled());
  });
}

TEST(Finally, AStopDuringTheCleanUpDoesNotInterruptIt) {
  virtual_run([]() -> task<> {
    bool cleaned = false;
    const auto clean_up = [&]() -> task<> {
      co_await plait::sleep(10s);
      cleaned = true;
    };
    auto f = plait::spawn(plait::finally(plait::sleep(1s), clean_up));
    co_await plait::sleep(5s);
    f.cancel();
    co_await f;  // it had finished its work
    EXPECT_TRUE(cleaned);
  });
}

TEST(Finally, AFailureOfTheCleanUpIsThrownAndThatOfTheWorkReported) {
  const plait::testing::unhandled_recorder recorder;
  virtual_run([]() -> task<> {
    const auto clean_up = []() -> task<> {
      throw std::length_error("clean-up");
      co_return;
    };
    const auto fails = []() -> task<> {
      throw std::out_of_range("work");
      co_return;
    };
    EXPECT_TRUE(co_await throws<std::length_error>(plait::finally(plait::sleep(1s), clean_up)));
    EXPECT_TRUE(co_await throws<std::length_error>(plait::finally(fails(), clean_up)));
  });
  const auto heard = recorder.entries();
  EXPECT_EQ(heard.size(), 1u);
  if (!heard.empty()) {
    EXPECT_EQ(heard[0].message, "work");
  }
}

}  // namespace

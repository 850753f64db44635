// What a task group promises of failures: the first stops the rest, and none is lost.
#include "plait/coroutines/task_group.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <stdexcept>
#include <string>

#include "plait/testing/unhandled_recorder.hpp"
#include "small_tasks.hpp"
#include "virtual_run.hpp"

using namespace std::chrono_literals;
using plait::task;
using plait::task_group;

namespace {

TEST(TaskGroup, TheFirstFailureStopsTheOthersAndTheBody) {
  virtual_run([]() -> task<> {
    const auto before = virtual_now();
    int stopped = 0;
    bool body_stopped = false;
    const auto failures =
        co_await failures_of(plait::with_task_group([&](task_group& group) -> task<> {
          for (int i = 0; i < 5; ++i) group.start(until_stopped, std::ref(stopped));
          group.start(fail_after, 1s, "first");
          body_stopped = co_await throws<plait::cancelled_error>(plait::sleep(1h));
        }));
    EXPECT_EQ(failures, "first");
    EXPECT_EQ(stopped, 5);
    EXPECT_TRUE(body_stopped);
    EXPECT_EQ(virtual_now() - before, 1s);
  });
}

TEST(TaskGroup, ABodyThatThrowsIsAFailureToo) {
  virtual_run([]() -> task<> {
    int stopped = 0;
    const auto failures =
        co_await failures_of(plait::with_task_group([&](task_group& group) -> task<> {
          group.start(until_stopped, std::ref(stopped));
          co_await plait::sleep(1s);
          throw std::runtime_error("body");
        }));
    EXPECT_EQ(failures, "body");
    EXPECT_EQ(stopped, 1);
  });
}

TEST(TaskGroup, ABodyThatThrowsBeforeItIsACoroutineOpensNothing) {
  virtual_run([]() -> task<> {
    const auto body = [](task_group&) -> task<> { throw std::out_of_range("plain function"); };
    EXPECT_TRUE(co_await throws<std::out_of_range>(plait::with_task_group(body)));
    co_await plait::sleep(1s);
  });
}

constexpr const char* three[] = {"one", "two", "three"};

TEST(TaskGroup, EveryFailureOfOneTurnIsInTheGroup) {
  const plait::testing::unhandled_recorder recorder;
  virtual_run([]() -> task<> {
    const auto failures =
        co_await failures_of(plait::with_task_group([](task_group& group) -> task<> {
          for (const char* what : three) group.start(fail_after, 1s, what);
          co_await plait::sleep(1s);
          throw std::runtime_error("body");
        }));
    EXPECT_EQ(failures, "body, one, two, three");
  });
  EXPECT_EQ(recorder.count(), 0u);
}

TEST(TaskGroup, AFailureWhileStoppingIsInTheGroupToo) {
  virtual_run([]() -> task<> {
    const auto fails_when_stopped = []() -> task<> {
      const bool stopped = co_await throws<plait::cancelled_error>(plait::sleep(1h));
      throw std::runtime_error(stopped ? "second" : "not stopped");
    };
    EXPECT_EQ(co_await failures_of(plait::with_task_group([&](task_group& group) -> task<> {
                group.start(fails_when_stopped);
                group.start(fail_after, 1s, "first");
                co_return;
              })),
              "first, second");
  });
}

TEST(TaskGroup, NestedGroupsGiveNestedExceptionGroups) {
  virtual_run([]() -> task<> {
    const auto inner = [](std::string what) -> task<> {
      co_await plait::with_task_group([&](task_group& group) -> task<> {
        group.start(fail_after, 1s, what);
        co_return;
      });
    };
    std::string what;
    std::size_t at_the_top = 0, in_all = 0;
    try {
      co_await plait::with_task_group([&](task_group& group) -> task<> {
        group.start(inner, "left");
        group.start(inner, "right");
        co_return;
      });
    } catch (const plait::exception_group& failures) {
      what = failures.what();
      at_the_top = failures.exceptions().size();
      in_all = failures.visit<std::runtime_error>([](const std::runtime_error&) {});
      EXPECT_TRUE(failures.contains<std::exception>());
      EXPECT_FALSE(failures.contains<std::logic_error>());
    }
    EXPECT_EQ(at_the_top, 2u);
    EXPECT_EQ(in_all, 2u);
    EXPECT_NE(what.find("2 failures"), std::string::npos) << what;
    EXPECT_NE(what.find("std::runtime_error: left"), std::string::npos) << what;
  });
}

// Whoever awaits the child's future throws its exception again: it is the same failure.
TEST(TaskGroup, AFailureThatTheBodyAwaitsCountsOnce) {
  const plait::testing::unhandled_recorder recorder;
  virtual_run([]() -> task<> {
    EXPECT_EQ(co_await failures_of(plait::with_task_group([](task_group& group) -> task<> {
                co_await group.start(fail_after, 1s, "awaited");
              })),
              "awaited");
  });
  EXPECT_EQ(recorder.count(), 0u);
}

TEST(TaskGroup, FuturesOfFailedChildrenTellWhatTheyThrew) {
  const plait::testing::unhandled_recorder recorder;
  virtual_run([]() -> task<> {
    plait::future<int> failed, stopped;
    int count = 0;
    co_await failures_of(plait::with_task_group([&](task_group& group) -> task<> {
      failed = group.start(fail_after, 1s, "x");
      stopped = group.start(until_stopped, std::ref(count));
      co_return;
    }));
    EXPECT_TRUE(co_await throws<std::runtime_error>(failed));
    EXPECT_TRUE(stopped.cancelled());
  });
  EXPECT_EQ(recorder.count(), 0u);
}

TEST(TaskGroup, AFailureDuringAStopFromOutsideIsTold) {
  virtual_run([]() -> task<> {
    const auto fails_when_stopped = []() -> task<> {
      co_await throws<plait::cancelled_error>(plait::sleep(1h));
      throw std::runtime_error("while tidying up");
    };
    const auto scope = [&]() -> task<> {
      co_await plait::with_task_group([&](task_group& group) -> task<> {
        group.start(fails_when_stopped);
        co_return;
      });
    };
    auto f = plait::spawn(scope());
    co_await plait::sleep(1s);
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::exception_group>(f));
  });
}

TEST(TaskGroup, AFailureIsNoReasonToStopTheOuterGroup) {
  virtual_run([]() -> task<> {
    int stopped = 0;
    bool outer_went_on = false;
    co_await plait::with_task_group([&](task_group& outer) -> task<> {
      outer.start([&]() -> task<> {
        co_await plait::sleep(10s);
        outer_went_on = true;
      });
      co_await failures_of(plait::with_task_group([&](task_group& inner) -> task<> {
        inner.start(until_stopped, std::ref(stopped));
        inner.start(fail_after, 1s, "inner");
        co_return;
      }));
    });
    EXPECT_TRUE(outer_went_on);
    EXPECT_EQ(stopped, 1);
  });
}

TEST(TaskGroup, AThousandFailuresAtOnceAreAllTold) {
  virtual_run([]() -> task<> {
    const auto failures =
        co_await failures_of(plait::with_task_group([](task_group& group) -> task<> {
          for (int i = 0; i < 1000; ++i) group.start(fail_after, 1s, std::to_string(i));
          co_return;
        }));
    EXPECT_EQ(std::count(failures.begin(), failures.end(), ','), 999);
  });
}

}  // namespace

// What a task group promises of stops: they reach everyone, and are told from failures.
#include "plait/coroutines/task_group.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "plait/testing/unhandled_recorder.hpp"
#include "small_tasks.hpp"
#include "virtual_run.hpp"

using namespace std::chrono_literals;
using plait::task;
using plait::task_group;

namespace {

TEST(TaskGroup, CancellingOneChildIsNoFailure) {
  virtual_run([]() -> task<> {
    int stopped = 0;
    const int value = co_await plait::with_task_group([&](task_group& group) -> task<int> {
      auto begun = group.start(until_stopped, std::ref(stopped));
      auto kept = group.start(after, 5s, 8);
      co_await plait::sleep(1s);
      auto not_begun = group.start(until_stopped, std::ref(stopped));
      EXPECT_TRUE(not_begun.cancel());
      EXPECT_TRUE(begun.cancel());
      EXPECT_TRUE(co_await throws<plait::cancelled_error>(begun));
      EXPECT_EQ(group.size(), 1u);
      co_return co_await kept;
    });
    EXPECT_EQ(value, 8);
    EXPECT_EQ(stopped, 1);
  });
}

TEST(TaskGroup, ACancelledErrorThatNobodyAskedForEndsItsChildAlone) {
  const plait::testing::unhandled_recorder recorder;
  virtual_run([]() -> task<> {
    plait::promise<int> promise;
    const auto awaits = [](plait::future<int> f) -> task<> { co_await f; };
    bool other_ended = false;
    co_await plait::with_task_group([&](task_group& group) -> task<> {
      group.start(awaits, promise.get_future());
      group.start([&]() -> task<> {
        co_await plait::sleep(5s);
        other_ended = true;
      });
      co_await plait::sleep(1s);
      promise.get_future().cancel();
    });
    EXPECT_TRUE(other_ended);
  });
  EXPECT_EQ(recorder.count(), 0u);
}

TEST(TaskGroup, ACancelledErrorOfTheBodyThatNobodyAskedForGoesThrough) {
  virtual_run([]() -> task<> {
    int stopped = 0;
    EXPECT_EQ(co_await failures_of(plait::with_task_group([&](task_group& group) -> task<> {
                group.start(until_stopped, std::ref(stopped));
                co_await plait::sleep(1s);
                throw plait::cancelled_error();
              })),
              "cancelled");
    EXPECT_EQ(stopped, 1);
  });
}

TEST(TaskGroup, CancelStopsBodyAndChildrenAndIsNoError) {
  virtual_run([]() -> task<> {
    int stopped = 0;
    co_await plait::with_task_group([&](task_group& group) -> task<> {
      for (int i = 0; i < 5; ++i) group.start(until_stopped, std::ref(stopped));
      co_await plait::sleep(1s);
      group.cancel();
      group.cancel();
      co_await plait::sleep(1h);
      ADD_FAILURE() << "the body was not stopped";
    });
    EXPECT_EQ(stopped, 5);
    co_await plait::sleep(1s);  // the outer task was not
    const auto scope = [&](task_group& group) -> task<int> {
      group.cancel();
      co_await plait::sleep(1h);
      co_return 1;
    };
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(plait::with_task_group(scope)));
    const auto finishes = [&](task_group& group) -> task<int> {
      group.cancel();
      co_return 2;
    };
    EXPECT_EQ(co_await plait::with_task_group(finishes), 2);
  });
}

TEST(TaskGroup, AChildMayCancelTheGroupAndIsStoppedItself) {
  virtual_run([]() -> task<> {
    int stopped = 0;
    co_await plait::with_task_group([&](task_group& group) -> task<> {
      group.start([&]() -> task<> {
        co_await plait::sleep(1s);
        group.cancel();
        co_await until_stopped(stopped);
      });
      co_await until_stopped(stopped);
    });
    EXPECT_EQ(stopped, 2);
  });
}

TEST(TaskGroup, AChildStartedInAStoppingGroupIsStoppedAtItsFirstAwait) {
  virtual_run([]() -> task<> {
    int stopped = 0;
    bool begun = false;
    co_await plait::with_task_group([&](task_group& group) -> task<> {
      group.cancel();
      group.start([&]() -> task<> {
        begun = true;
        co_await until_stopped(stopped);
      });
      co_return;
    });
    EXPECT_TRUE(begun);
    EXPECT_EQ(stopped, 1);
  });
}

TEST(TaskGroup, AStopFromOutsideStopsEverythingAndIsPassedOn) {
  virtual_run([]() -> task<> {
    for (int round = 0; round < 2; ++round) {
      const bool body_runs = round == 0;
      int stopped = 0;
      const auto scope = [&]() -> task<> {
        co_await plait::with_task_group([&](task_group& group) -> task<> {
          for (int i = 0; i < 5; ++i) group.start(until_stopped, std::ref(stopped));
          if (body_runs) co_await until_stopped(stopped);
        });
      };
      auto f = plait::spawn(scope());
      co_await plait::sleep(1s);
      EXPECT_TRUE(f.cancel());
      EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
      EXPECT_EQ(stopped, body_runs ? 6 : 5);
      EXPECT_TRUE(f.cancelled());
    }
  });
}

TEST(TaskGroup, AStopBeforeTheChildrenBeganStopsThemAtTheirFirstAwait) {
  virtual_run([]() -> task<> {
    int begun = 0, passed = 0;
    const auto child = [&]() -> task<> {
      ++begun;
      co_await plait::sleep(0s);
      ++passed;
    };
    co_await plait::with_task_group([&](task_group& group) -> task<> {
      for (int i = 0; i < 5; ++i) group.start(std::ref(child));
      group.cancel();
      co_await plait::sleep(0s);
      ++passed;
    });
    EXPECT_EQ(begun, 5);
    EXPECT_EQ(passed, 0);
  });
}

TEST(TaskGroup, KeepsItsResultWhenAllFinishDespiteTheStop) {
  virtual_run([]() -> task<> {
    const auto stubborn = []() -> task<int> {
      const bool stopped = co_await throws<plait::cancelled_error>(plait::sleep(1h));
      co_return stopped ? 4 : 0;
    };
    const auto scope = [&]() -> task<int> {
      co_return co_await plait::with_task_group([&](task_group& group) -> task<int> {
        auto child = group.start(stubborn);
        const int own = co_await stubborn();
        co_return own + co_await child;
      });
    };
    auto f = plait::spawn(scope());
    co_await plait::sleep(1s);
    f.cancel();
    EXPECT_EQ(co_await f, 8);
  });
}

TEST(TaskGroup, InAStoppedTaskStartsNothing) {
  virtual_run([]() -> task<> {
    bool ran = false;
    const auto late = [&]() -> task<> {
      co_await throws<plait::cancelled_error>(plait::sleep(1h));
      co_await plait::with_task_group([&](task_group&) -> task<> {
        ran = true;
        co_return;
      });
    };
    auto f = plait::spawn(late());
    co_await plait::sleep(1s);
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_FALSE(ran);
  });
}

TEST(TaskGroup, ATimeoutAroundItIsATimeout) {
  virtual_run([]() -> task<> {
    int stopped = 0;
    const auto scope = [&]() -> task<> {
      co_await plait::with_task_group([&](task_group& group) -> task<> {
        group.start(until_stopped, std::ref(stopped));
        co_return;
      });
    };
    EXPECT_TRUE(co_await throws<plait::timeout_error>(plait::timeout(1s, scope())));
    EXPECT_EQ(stopped, 1);
  });
}

// The stop token's callback runs inside the stop, and starts another child.
TEST(TaskGroup, AChildMayBeStartedFromWithinTheStop) {
  virtual_run([]() -> task<> {
    int stopped = 0;
    co_await plait::with_task_group([&](task_group& group) -> task<> {
      const auto token = co_await plait::current_stop_token();
      const std::stop_callback late(token, [&] { group.start(until_stopped, std::ref(stopped)); });
      for (int i = 0; i < 3; ++i) group.start(until_stopped, std::ref(stopped));
      group.cancel();
      co_await plait::sleep(1h);
    });
    EXPECT_EQ(stopped, 4);
  });
}

TEST(TaskGroup, AHundredThousandWaitingChildrenStop) {
  virtual_run([]() -> task<> {
    int stopped = 0;
    co_await plait::with_task_group([&](task_group& group) -> task<> {
      for (int i = 0; i < 100'000; ++i) group.start(until_stopped, std::ref(stopped));
      co_await plait::sleep(1s);
      EXPECT_EQ(group.size(), 100'000u);
      group.cancel();
    });
    EXPECT_EQ(stopped, 100'000);
  });
}

}  // namespace

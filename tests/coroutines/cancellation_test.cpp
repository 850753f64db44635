// A stop stays: every await after it throws, until the task ends. What had succeeded is kept.
#include <gtest/gtest.h>

#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "virtual_run.hpp"

using namespace std::chrono_literals;

namespace {

// Starts `body` as a task, lets it come to rest, asks it to stop and waits for its end.
template <class F>
plait::task<bool> stopped_task_is_cancelled(F body) {
  auto f = plait::event_loop::current().submit(std::move(body));
  co_await let_others_run();
  f.cancel();
  co_return co_await throws<plait::cancelled_error>(f);
}

TEST(Cancellation, IsLevelTriggeredOnEveryAwaitable) {
  virtual_run([]() -> plait::task<> {
    plait::semaphore semaphore{1};
    plait::queue<int> queue(1), filled(1);
    filled.put_nowait(1);
    int refused = 0;
    const auto nothing = []() -> plait::task<> { co_return; };
    const auto body = [&]() -> plait::task<> {
      refused += co_await throws<plait::cancelled_error>(plait::sleep(1h));
      refused += co_await throws<plait::cancelled_error>(plait::sleep(0s));
      refused += co_await throws<plait::cancelled_error>(semaphore.acquire());
      refused += co_await throws<plait::cancelled_error>(queue.put(1));
      refused += co_await throws<plait::cancelled_error>(filled.get());
      refused += co_await throws<plait::cancelled_error>(filled.join());
      refused += co_await throws<plait::cancelled_error>(plait::gather(nothing()));
      refused += co_await throws<plait::cancelled_error>(plait::timeout(1s, nothing()));
      plait::promise<int> promise;
      refused += co_await throws<plait::cancelled_error>(promise.get_future());
      co_await nothing();  // a task is no suspension of its own
      co_await plait::sleep(1s);
    };
    EXPECT_TRUE(co_await stopped_task_is_cancelled(body));
    EXPECT_EQ(refused, 9);
    EXPECT_EQ(semaphore.available(), 1u);
    EXPECT_TRUE(queue.empty());
    EXPECT_EQ(filled.size(), 1u);
  });
}

TEST(Cancellation, ATaskThatHearsTheStopAndReturnsIsNotCancelled) {
  virtual_run([]() -> plait::task<> {
    auto f = plait::spawn([]() -> plait::task<std::string> {
      if (co_await throws<plait::cancelled_error>(plait::sleep(1h))) co_return "tidied up";
      co_return "slept";
    }());
    co_await let_others_run();
    EXPECT_TRUE(f.cancel());
    EXPECT_EQ(co_await f, "tidied up");
    EXPECT_FALSE(f.cancelled());
    EXPECT_FALSE(f.cancel());
  });
}

TEST(Cancellation, ATaskThatThrowsSomethingElseWhenStoppedHasFailed) {
  virtual_run([]() -> plait::task<> {
    auto f = plait::spawn([]() -> plait::task<> {
      const bool stopped = co_await throws<plait::cancelled_error>(plait::sleep(1h));
      throw std::runtime_error(stopped ? "while tidying up" : "unexpected");
    }());
    co_await let_others_run();
    f.cancel();
    EXPECT_TRUE(co_await throws<std::runtime_error>(f));
    EXPECT_FALSE(f.cancelled());
  });
}

TEST(Cancellation, BeforeTheFirstRunTheTaskNeverRuns) {
  virtual_run([]() -> plait::task<> {
    bool ran = false;
    auto watched = std::make_shared<int>(0);
    const auto body = [&ran](std::shared_ptr<int>) -> plait::task<> {
      ran = true;
      co_return;
    };
    auto f = plait::event_loop::current().submit(body, watched);
    EXPECT_TRUE(f.cancel());
    EXPECT_TRUE(f.cancelled());
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    f = {};
    co_await let_others_run();
    EXPECT_FALSE(ran);
    EXPECT_EQ(watched.use_count(), 1);
  });
}

// The stop comes when the flow is in the ready list already: what it waited for has succeeded.
TEST(Cancellation, WhileTheTaskIsReadyKeepsWhatItWaitedFor) {
  virtual_run([]() -> plait::task<> {
    plait::promise<int> promise;
    int got = 0;
    bool refused = false;
    const auto body = [&]() -> plait::task<> {
      got = co_await promise.get_future();
      refused = co_await throws<plait::cancelled_error>(plait::sleep(1s));
      co_await plait::sleep(1s);
    };
    auto f = plait::event_loop::current().submit(body);
    co_await let_others_run();
    f.cancel();            // on its way
    promise.set_value(5);  // ready, behind the stop
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_EQ(got, 5);
    EXPECT_TRUE(refused);
  });
}

TEST(Cancellation, ATaskMayCancelItself) {
  virtual_run([]() -> plait::task<> {
    plait::future<> self;
    const auto body = [&]() -> plait::task<> {
      co_await plait::sleep(1s);
      EXPECT_TRUE(self.cancel());
      co_await plait::sleep(1h);
    };
    const auto before = virtual_now();
    self = plait::event_loop::current().submit(body);
    const auto copy = self;
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(copy));
    EXPECT_EQ(virtual_now() - before, 1s);
  });
}

// As asyncio's test_cancel_at_end, with the other end: what is done is done.
TEST(Cancellation, ATaskThatIsCancelledInItsLastStepKeepsItsValue) {
  virtual_run([]() -> plait::task<> {
    plait::future<int> self;
    const auto body = [&]() -> plait::task<int> {
      co_await plait::sleep(1s);
      EXPECT_TRUE(self.cancel());
      co_return 7;
    };
    self = plait::event_loop::current().submit(body);
    const auto copy = self;
    EXPECT_EQ(co_await copy, 7);
    EXPECT_FALSE(copy.cancelled());
  });
}

TEST(Cancellation, SiblingsMayCancelEachOtherInOneTurn) {
  virtual_run([]() -> plait::task<> {
    plait::future<> a, b;
    const auto body = [](plait::future<>& other) -> plait::task<> {
      co_await plait::sleep(1s);
      other.cancel();
      co_await plait::sleep(1h);
    };
    a = plait::event_loop::current().submit(body, std::ref(b));
    b = plait::event_loop::current().submit(body, std::ref(a));
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(plait::future<>(a)));
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(plait::future<>(b)));
  });
}

TEST(Cancellation, ARepeatedStopIsOneStop) {
  virtual_run([]() -> plait::task<> {
    int heard = 0;
    auto f = plait::event_loop::current().submit([&]() -> plait::task<> {
      for (int i = 0; i < 3; ++i)
        heard += co_await throws<plait::cancelled_error>(plait::sleep(1h));
    });
    co_await let_others_run();
    for (int i = 0; i < 5; ++i) f.cancel();
    co_await f;
    EXPECT_EQ(heard, 3);
  });
}

TEST(Cancellation, TheStopTokenHearsAndRunsItsCallbacksOnTheLoop) {
  virtual_run([]() -> plait::task<> {
    const auto home = std::this_thread::get_id();
    bool called = false;
    const auto body = [&]() -> plait::task<> {
      const auto token = co_await plait::current_stop_token();
      EXPECT_FALSE(token.stop_requested());
      const std::stop_callback call(token, [&] { called = std::this_thread::get_id() == home; });
      co_await throws<plait::cancelled_error>(plait::sleep(1h));
      EXPECT_TRUE(token.stop_requested());
      const auto late = co_await plait::current_stop_token();
      EXPECT_TRUE(late.stop_requested());
      co_await plait::sleep(1s);
    };
    EXPECT_TRUE(co_await stopped_task_is_cancelled(body));
    EXPECT_TRUE(called);
  });
}

TEST(Cancellation, AStopTokenThatIsTakenLateAndOutlivesItsTaskKeepsTheTruth) {
  std::stop_token kept;
  virtual_run([&]() -> plait::task<> {
    const auto body = [&]() -> plait::task<> {
      co_await throws<plait::cancelled_error>(plait::sleep(1h));
      kept = co_await plait::current_stop_token();
      co_await plait::sleep(1s);
    };
    EXPECT_TRUE(co_await stopped_task_is_cancelled(body));
  });
  EXPECT_TRUE(kept.stop_requested());
}

TEST(Cancellation, AStopCallbackMaySatisfyTheWaitThatIsBeingStopped) {
  virtual_run([]() -> plait::task<> {
    plait::queue<int> queue;
    int got = 0;
    const auto body = [&]() -> plait::task<> {
      const auto token = co_await plait::current_stop_token();
      const std::stop_callback call(token, [&] { queue.put_nowait(77); });
      got = co_await queue.get();
      co_await plait::sleep(1s);
    };
    EXPECT_TRUE(co_await stopped_task_is_cancelled(body));
    EXPECT_EQ(got, 77);
  });
}

TEST(Cancellation, GatheredChildrenHaveStopsOfTheirOwn) {
  virtual_run([]() -> plait::task<> {
    const auto child = []() -> plait::task<std::stop_token> {
      co_return co_await plait::current_stop_token();
    };
    const auto mine = co_await plait::current_stop_token();
    auto [a, b] = co_await plait::gather(child(), child());
    EXPECT_NE(a, b);
    EXPECT_NE(a, mine);
  });
}

}  // namespace

// What an event loop promises: whatever was submitted has an end, and says how it ended.
#include "plait/coroutines/event_loop.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "loop_thread.hpp"
#include "plait/testing/unhandled_recorder.hpp"
#include "virtual_run.hpp"

using namespace std::chrono_literals;

namespace {

constexpr plait::shutdown_options cancel_pending{
    .pending = plait::shutdown_options::pending_calls::cancel};

plait::task<> endless() { co_await plait::sleep(plait::duration::max()); }

TEST(EventLoop, RunsFunctionsThatOtherThreadsSubmit) {
  loop_thread loop;
  EXPECT_EQ(loop->submit([](int a, int b) { return a + b; }, 20, 22).get(), 42);
  EXPECT_EQ(loop->submit([] { return std::this_thread::get_id(); }).get(), loop.id());
  EXPECT_THROW(loop->submit([] { throw std::out_of_range("x"); }).get(), std::out_of_range);
}

TEST(EventLoop, RunsCoroutineFunctionsThatOtherThreadsSubmit) {
  loop_thread loop;
  const auto coroutine = [](int a) -> plait::task<int> {
    co_await plait::sleep(1us);
    if (a < 0) throw std::out_of_range("negative");
    co_return a * 2;
  };
  EXPECT_EQ(loop->submit(coroutine, 21).get(), 42);
  EXPECT_THROW(loop->submit(coroutine, -1).get(), std::out_of_range);
  EXPECT_EQ(loop->spawn(coroutine(4)).get(), 8);
}

TEST(EventLoop, KeepsACapturingCoroutineLambdaForAsLongAsItsTask) {
  virtual_run([]() -> plait::task<> {
    plait::future<std::size_t> f;
    {
      const std::string text(1000, 'x');
      f = plait::event_loop::current().submit(
          [text](const std::string& more) -> plait::task<std::size_t> {
            co_await plait::sleep(1s);
            co_return text.size() + more.size();
          },
          std::string(500, 'y'));
    }
    EXPECT_EQ(co_await f, 1500u);
  });
}

TEST(EventLoop, PassesMoveOnlyArguments) {
  virtual_run([]() -> plait::task<> {
    const auto coroutine = [](std::unique_ptr<int> n) -> plait::task<int> {
      co_await plait::sleep(1s);
      co_return *n;
    };
    EXPECT_EQ(co_await plait::event_loop::current().submit(coroutine, std::make_unique<int>(3)), 3);
    // Named before it is awaited: GCC 12 destroys a closure twice that is made inside a co_await.
    auto f = plait::event_loop::current().submit(
        [n = std::make_unique<int>(4)]() -> plait::task<int> { co_return *n; });
    EXPECT_EQ(co_await f, 4);
  });
}

TEST(EventLoop, ReferencesGoThroughStdRef) {
  virtual_run([]() -> plait::task<> {
    int n = 1;
    const auto coroutine = [](int& target) -> plait::task<> {
      target = 2;
      co_return;
    };
    co_await plait::event_loop::current().submit(coroutine, std::ref(n));
    EXPECT_EQ(n, 2);
  });
}

TEST(EventLoop, GivesACoroutineFunctionThatTakesOneItsStopToken) {
  virtual_run([]() -> plait::task<> {
    const auto body = [](std::stop_token token, std::string text) -> plait::task<std::string> {
      co_await throws<plait::cancelled_error>(plait::sleep(1h));
      co_return token.stop_requested() ? text + " stopped" : text;
    };
    auto f = plait::event_loop::current().submit(body, "heard and");
    co_await let_others_run();
    f.cancel();
    EXPECT_EQ(co_await f, "heard and stopped");
  });
}

TEST(EventLoop, AFunctionThatThrowsInsteadOfMakingItsTaskFailsTheFuture) {
  virtual_run([]() -> plait::task<> {
    const auto refuses = [](int) -> plait::task<int> { throw std::length_error("no task"); };
    EXPECT_TRUE(
        co_await throws<std::length_error>(plait::event_loop::current().submit(refuses, 1)));
  });
}

TEST(EventLoop, RunUntilCompleteGivesTheResultAndCanBeRepeated) {
  plait::event_loop loop;
  const auto doubled = [](int n) -> plait::task<int> { co_return n * 2; };
  const auto failing = []() -> plait::task<> {
    throw std::out_of_range("x");
    co_return;
  };
  EXPECT_EQ(loop.run_until_complete(doubled(1)), 2);
  EXPECT_THROW(loop.run_until_complete(failing()), std::out_of_range);
  EXPECT_EQ(loop.run_until_complete(doubled(2)), 4);
}

TEST(EventLoop, RunUntilCompleteLeavesOtherTasksWhereTheyAre) {
  plait::testing::virtual_clock clock;
  plait::event_loop loop({.clock = &clock});
  int turns = 0;
  auto f = loop.submit([&]() -> plait::task<> {
    for (; turns < 10; ++turns) co_await plait::sleep(1s);
  });
  const auto wait = [](plait::duration span) -> plait::task<> { co_await plait::sleep(span); };
  loop.run_until_complete(wait(3500ms));
  EXPECT_EQ(turns, 3);
  loop.run_until_complete(wait(1h));
  EXPECT_EQ(turns, 10);
  EXPECT_TRUE(f.done());
}

TEST(EventLoop, CurrentIsTheLoopThatRunsHere) {
  EXPECT_EQ(plait::event_loop::current_or_null(), nullptr);
  EXPECT_THROW(plait::event_loop::current(), plait::invalid_state);
  plait::event_loop loop;
  EXPECT_FALSE(loop.is_current());
  loop.run_until_complete([&]() -> plait::task<> {
    EXPECT_EQ(&plait::event_loop::current(), &loop);
    EXPECT_TRUE(loop.is_current());
    co_return;
  }());
  EXPECT_EQ(plait::event_loop::current_or_null(), nullptr);
}

TEST(EventLoop, RunInsideARunningLoopThrowsWouldDeadlock) {
  bool ran = false;
  const auto inner = [&]() -> plait::task<> {
    ran = true;
    co_return;
  };
  virtual_run([&]() -> plait::task<> {
    EXPECT_THROW(plait::run(inner()), plait::would_deadlock);
    EXPECT_THROW(plait::event_loop::current().run(), plait::would_deadlock);
    EXPECT_THROW(plait::event_loop::current().run_until_complete(inner()), plait::would_deadlock);
    plait::event_loop other;
    EXPECT_THROW(other.run(), plait::would_deadlock);
    EXPECT_THROW(other.run_until_complete(inner()), plait::would_deadlock);
    co_await let_others_run();
  });
  EXPECT_FALSE(ran);
}

TEST(EventLoop, MayBeDestroyedOnAnotherLoopsThreadWithWorkLeft) {
  bool stopped = false;
  plait::future<> unbegun, begun;
  virtual_run([&]() -> plait::task<> {
    {
      plait::event_loop other;
      unbegun = other.submit(endless);
    }
    EXPECT_TRUE(unbegun.cancelled());
    std::optional<plait::event_loop> other(std::in_place);
    std::thread([&] {
      other->run_until_complete([&]() -> plait::task<> {
        begun = plait::event_loop::current().submit([&]() -> plait::task<> {
          stopped = co_await throws<plait::cancelled_error>(endless());
        });
        co_await let_others_run();
      }());
    }).join();
    EXPECT_FALSE(begun.done());
    other.reset();
    EXPECT_TRUE(begun.done());
    EXPECT_TRUE(stopped);
    co_await plait::sleep(1s);  // home again
  });
}

TEST(EventLoop, ABlockingGetOnItsThreadThrowsWouldDeadlock) {
  virtual_run([]() -> plait::task<> {
    plait::promise<int> promise;
    auto f = promise.get_future();
    EXPECT_THROW(f.get(), plait::would_deadlock);
    EXPECT_THROW(f.wait(), plait::would_deadlock);
    EXPECT_THROW(f.wait_for(1h), plait::would_deadlock);
    auto spawned = plait::spawn([]() -> plait::task<int> { co_return 1; }());
    EXPECT_THROW(spawned.get(), plait::would_deadlock);
    promise.set_value(3);
    EXPECT_EQ(f.get(), 3);  // nothing to wait for
    EXPECT_EQ(co_await spawned, 1);
    EXPECT_EQ(spawned.get(), 1);
  });
}

TEST(EventLoop, ShutdownRunsWhatWasSubmittedBefore) {
  loop_thread loop;
  std::vector<plait::future<int>> all;
  for (int i = 0; i < 100; ++i)
    all.push_back(loop->submit(
        [](int n) -> plait::task<int> {
          co_await plait::sleep(n * 10us);
          co_return n;
        },
        i));
  loop.end();
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(all[static_cast<std::size_t>(i)].done());
    EXPECT_EQ(all[static_cast<std::size_t>(i)].get(), i);
  }
  EXPECT_THROW(loop->submit([] {}), plait::executor_shutdown);
  EXPECT_THROW(loop->submit(endless), plait::executor_shutdown);
  EXPECT_THROW(loop->spawn(endless()), plait::executor_shutdown);
}

TEST(EventLoop, ShutdownWithCancelStopsWhatRunsAndDropsWhatHasNotBegun) {
  plait::event_loop loop;
  bool stopped = false, ran = false;
  auto live = loop.submit(
      [&]() -> plait::task<> { stopped = co_await throws<plait::cancelled_error>(endless()); });
  loop.run_until_complete(let_others_run());
  auto unbegun_task = loop.submit([&]() -> plait::task<> {
    ran = true;
    co_return;
  });
  auto unbegun_call = loop.submit([&] { ran = true; });
  loop.shutdown(cancel_pending);
  loop.run();
  EXPECT_TRUE(stopped);
  EXPECT_TRUE(live.done());
  EXPECT_FALSE(ran);
  EXPECT_TRUE(unbegun_task.cancelled());
  EXPECT_TRUE(unbegun_call.cancelled());
}

TEST(EventLoop, ATaskMaySpawnItsCleanUpAfterShutdown) {
  loop_thread loop;
  plait::promise<void> began;
  bool cleaned = false;
  auto f = loop->submit([&]() -> plait::task<> {
    began.set_value();
    co_await plait::sleep(1ms);
    co_await plait::event_loop::current().submit([&] { cleaned = true; });
    auto beside = plait::spawn([](bool& flag) -> plait::task<> {
      co_await plait::sleep(1us);
      flag = flag && true;
    }(cleaned));
    co_await beside;
  });
  began.get_future().get();
  loop.end();
  f.get();
  EXPECT_TRUE(cleaned);
}

TEST(EventLoop, RunAfterItsEndReturnsAtOnce) {
  plait::event_loop loop;
  loop.shutdown();
  loop.run();
  loop.run();
  EXPECT_THROW(loop.run_until_complete(endless()), plait::executor_shutdown);
}

TEST(EventLoop, ThatNeverRanCancelsWhatItWasGiven) {
  plait::future<> task, call;
  auto watched = std::make_shared<int>(0);
  {
    plait::event_loop loop;
    task = loop.submit([](std::shared_ptr<int>) -> plait::task<> { return endless(); }, watched);
    call = loop.submit([](std::shared_ptr<int>) {}, watched);
  }
  EXPECT_TRUE(task.cancelled());
  EXPECT_TRUE(call.cancelled());
  task = {};
  call = {};
  EXPECT_EQ(watched.use_count(), 1);
}

TEST(EventLoop, TheDestructorStopsLiveTasksAndWhatTheyStillSpawn) {
  plait::future<> live, late;
  int stopped = 0;
  auto watched = std::make_shared<int>(0);
  {
    plait::testing::virtual_clock clock;
    plait::event_loop loop({.clock = &clock});
    live = loop.submit([&, held = watched]() -> plait::task<> {
      stopped += co_await throws<plait::cancelled_error>(plait::sleep(1h));
      late = plait::event_loop::current().submit([&]() -> plait::task<> {
        for (;;) co_await plait::sleep(1h);
      });
    });
    loop.run_until_complete(let_others_run());
  }
  EXPECT_EQ(stopped, 1);
  EXPECT_TRUE(live.done());
  EXPECT_TRUE(late.cancelled());
  live = {};
  EXPECT_EQ(watched.use_count(), 1);
}

// A done callback that submits again whenever its call is cancelled must not hold the shutdown up.
TEST(EventLoop, ACallbackThatSubmitsAgainDoesNotHoldUpTheDestructor) {
  const plait::testing::unhandled_recorder recorder;
  int submitted = 0;
  {
    std::function<void()> again;
    plait::event_loop loop;
    again = [&] {
      if (++submitted > 1000) return;
      loop.submit([] {}).add_done_callback([&](const plait::future<>&) { again(); });
    };
    again();
  }
  EXPECT_EQ(submitted, 2);
  ASSERT_EQ(recorder.count(), 1u);  // what the callback threw: executor_shutdown
  EXPECT_EQ(recorder.entries()[0].message, plait::executor_shutdown().what());
}

TEST(EventLoop, RunStopsTheTasksThatMainLeavesBehind) {
  bool stopped = false;
  const int result = virtual_run([&]() -> plait::task<int> {
    plait::spawn([](bool& flag) -> plait::task<> {
      flag = co_await throws<plait::cancelled_error>(plait::sleep(1h));
    }(stopped));
    co_await plait::sleep(1s);
    co_return 5;
  });
  EXPECT_EQ(result, 5);
  EXPECT_TRUE(stopped);
}

TEST(EventLoop, RunThrowsAfterTheTasksLeftBehindHaveEnded) {
  bool stopped = false;
  EXPECT_THROW(virtual_run([&]() -> plait::task<> {
                 plait::spawn([](bool& flag) -> plait::task<> {
                   flag = co_await throws<plait::cancelled_error>(plait::sleep(1h));
                 }(stopped));
                 co_await plait::sleep(1s);
                 throw std::out_of_range("x");
               }),
               std::out_of_range);
  EXPECT_TRUE(stopped);
}

TEST(EventLoop, AnExceptionThatNobodyRetrievesReachesTheHandlerWithItsOrigin) {
  const plait::testing::unhandled_recorder recorder;
  virtual_run([]() -> plait::task<> {
    plait::event_loop::current().submit([]() -> plait::task<> {
      co_await plait::sleep(1s);
      throw std::runtime_error("nobody listens");
    });
    auto retrieved = plait::spawn([]() -> plait::task<> {
      throw std::runtime_error("somebody listens");
      co_return;
    }());
    auto stopped = plait::spawn(endless());
    co_await plait::sleep(2s);
    stopped.cancel();
    EXPECT_TRUE(co_await throws<std::runtime_error>(retrieved));
  });
  const auto heard = recorder.entries();
  ASSERT_EQ(heard.size(), 1u);
  EXPECT_EQ(heard[0].message, "nobody listens");
  EXPECT_NE(heard[0].origin.find("submitted"), std::string::npos) << heard[0].origin;
  EXPECT_NE(heard[0].origin.find("+0x"), std::string::npos) << heard[0].origin;
}

TEST(EventLoop, TheValueIsThereAndTheTasksLocalsAreGoneWhenItsCallbackRuns) {
  virtual_run([]() -> plait::task<> {
    auto watched = std::make_shared<int>(0);
    long seen = 0;
    auto f = plait::event_loop::current().submit(
        [](std::shared_ptr<int> p) -> plait::task<int> {
          co_await plait::sleep(1s);
          co_return *p + 1;
        },
        watched);
    f.add_done_callback(
        [&](const plait::future<int>& done) { seen = done.get() * 10 + watched.use_count(); });
    co_await f;
    EXPECT_EQ(seen, 11);
  });
}

TEST(EventLoop, SleepsAndWakesForThreadsManyTimes) {
  loop_thread loop;
  for (int i = 0; i < 2000; ++i) ASSERT_EQ(loop->submit([](int n) { return n; }, i).get(), i);
}

}  // namespace

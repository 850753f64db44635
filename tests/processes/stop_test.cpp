// Calls of a process pool that are asked to stop: before they begin, while they run, as they end, after.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <random>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "plait/coroutines.hpp"
#include "plait/processes.hpp"
#include "plait/testing/gate.hpp"

using namespace std::chrono_literals;
using plait::process_pool_executor;
using plait::testing::gate;

namespace {

int twice(int n) { return 2 * n; }
void wait_for(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock hold(mutex);
  never.wait(hold, stop, [] { return false; });
}
std::string returns_when_asked(std::stop_token stop, std::string gate_name) {
  gate::arrive(gate_name);
  wait_for(stop);
  return "stopped";
}
int throws_when_asked(std::stop_token stop, std::string gate_name) {
  gate::arrive(gate_name);
  wait_for(stop);
  throw plait::cancelled_error();
}
// As a library deep inside would, which has no parameter for it.
int asks_for_its_token(std::string gate_name) {
  const auto stop = plait::this_call::stop_token();
  gate::arrive(gate_name);
  wait_for(stop);
  throw plait::cancelled_error();
}
int ignores_everything(std::string gate_name) {
  gate::arrive(gate_name);
  for (;;) pause();
}

TEST(StopOfACall, ThatHasNotBegunTakesItBack) {
  process_pool_executor pool{1};
  const gate g;
  const auto held = pool.submit([](std::string name) { gate::pass(name); }, g.name());
  g.wait_for_arrival();
  const auto queued = pool.submit(returns_when_asked, g.name());
  EXPECT_TRUE(queued.cancel());
  EXPECT_TRUE(queued.cancelled());
  g.open();
  held.get();
}

TEST(StopOfACall, ThatRunsIsHeardAndItsValueArrives) {
  process_pool_executor pool{1};
  const gate g;
  const auto f = pool.submit(returns_when_asked, g.name());
  g.wait_for_arrival();
  EXPECT_TRUE(f.cancel());
  EXPECT_EQ(f.get(), "stopped");
  EXPECT_FALSE(f.cancelled());
  EXPECT_EQ(pool.submit(twice, 2).get(), 4);
  EXPECT_EQ(pool.statistics().started, 1u);
}

TEST(StopOfACall, ThatThrowsCancelledErrorCancelsItsFuture) {
  process_pool_executor pool{1};
  for (int i = 0; i < 3; ++i) {
    const gate g;
    const auto f = pool.submit(throws_when_asked, g.name());
    g.wait_for_arrival();
    EXPECT_TRUE(f.cancel());
    EXPECT_THROW(f.get(), plait::cancelled_error);
    EXPECT_TRUE(f.cancelled());
  }
  EXPECT_EQ(pool.statistics().started, 1u);
}

TEST(StopOfACall, IsHeardByCodeThatAsksForTheTokenItself) {
  process_pool_executor pool{1};
  const gate g;
  const auto f = pool.submit(asks_for_its_token, g.name());
  g.wait_for_arrival();
  EXPECT_TRUE(f.cancel());
  f.wait();
  EXPECT_TRUE(f.cancelled());
}

TEST(StopOfACall, ThatCameBeforeItAskedIsThereWhenItAsks) {
  process_pool_executor pool{1};
  const gate g;
  const auto f = pool.submit(
      [](std::string name) {
        gate::pass(name);
        return plait::this_call::stop_token().stop_requested();
      },
      g.name());
  g.wait_for_arrival();
  EXPECT_FALSE(f.cancel()) << "nobody listens yet";
  g.open();
  EXPECT_TRUE(f.get());
}

TEST(StopOfACall, ThatIsDoneChangesNothing) {
  process_pool_executor pool{1};
  const auto f = pool.submit([](std::stop_token, int n) { return n; }, 3);
  f.wait();
  EXPECT_FALSE(f.cancel());
  EXPECT_EQ(f.get(), 3);
}

TEST(StopOfACall, IsNotTheNextOnes) {
  process_pool_executor pool{1};
  const gate g;
  const auto f = pool.submit(returns_when_asked, g.name());
  g.wait_for_arrival();
  const auto next = pool.submit([](std::stop_token stop) { return stop.stop_requested(); });
  EXPECT_TRUE(f.cancel());
  f.wait();
  EXPECT_FALSE(next.get());
}

TEST(StopOfACall, WithoutAnyoneWhoAsksIsATokenThatIsNeverStopped) {
  process_pool_executor pool{1};
  EXPECT_FALSE(plait::this_call::stop_token().stop_possible());
  EXPECT_TRUE(pool.submit([] { return plait::this_call::stop_token().stop_possible(); }).get());
  EXPECT_EQ(pool.submit([](std::stop_token, int n) { return n; }, 4).get(), 4);
}

// Whatever the moment, each future ends, and what it says is what the call did.
TEST(StopOfACall, AtAnyMomentEndsItOneWayOrTheOther) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  process_pool_executor pool{2};
  for (int i = 0; i < 400; ++i) {
    const auto f = pool.submit(
        [](std::stop_token stop, unsigned steps) {
          for (unsigned s = 0; s < steps; ++s)
            if (stop.stop_requested()) throw plait::cancelled_error();
          return 7;
        },
        random() % 40'000);
    for (unsigned spin = random() % 20'000; spin != 0; --spin) asm volatile("");
    f.cancel();
    f.wait();
    if (!f.cancelled()) {
      EXPECT_EQ(f.get(), 7);
    }
  }
  EXPECT_EQ(pool.statistics().crashed, 0u);
}

TEST(StopOfACall, IsNoReasonToBeginItAgain) {
  process_pool_executor pool{1};
  const gate g;
  const auto f = pool.with({.retries = 5})
                     .submit(
                         [](std::stop_token stop, std::string name) -> int {
                           gate::arrive(name);
                           wait_for(stop);
                           std::_Exit(1);
                         },
                         g.name());
  g.wait_for_arrival();
  f.cancel();
  EXPECT_THROW(f.get(), plait::worker_crashed);
  EXPECT_EQ(pool.submit(twice, 1).get(), 2);
}

// Invariant 6: a timeout stops the work and waits for it to let go.
TEST(StopOfACall, ByATimeoutOfTheTaskThatAwaitsItIsWaitedFor) {
  process_pool_executor pool{1};
  const auto impatient = [&]() -> plait::task<bool> {
    const gate g;
    auto call = pool.submit(throws_when_asked, g.name());
    try {
      co_await plait::timeout(20ms, [](plait::future<int> f) -> plait::task<int> {
        co_return co_await std::move(f);
      }(call));
    } catch (const plait::timeout_error&) {
      co_return call.done();
    }
    co_return false;
  };
  EXPECT_TRUE(plait::run(impatient()));
  EXPECT_EQ(pool.submit(twice, 2).get(), 4);
  EXPECT_EQ(pool.statistics().started, 1u) << "nobody was killed";
}

// ---- the soft phase before a kill --------------------------------------------------------------

TEST(StopFirst, ACallThatStopsInTimeCostsNoWorker) {
  process_pool_executor pool{1};
  const gate g;
  const auto f =
      pool.with({.timeout = 20ms, .stop_first = 60s}).submit(throws_when_asked, g.name());
  EXPECT_THROW(f.get(), plait::task_timeout);
  EXPECT_EQ(pool.submit(twice, 2).get(), 4);
  EXPECT_EQ(pool.statistics().started, 1u);
}

TEST(StopFirst, WhatItReturnsInThatTimeIsItsResult) {
  process_pool_executor pool{1};
  const gate g;
  EXPECT_EQ(
      pool.with({.timeout = 20ms, .stop_first = 60s}).submit(returns_when_asked, g.name()).get(),
      "stopped");
  EXPECT_EQ(
      pool.with({.deadline = 20ms, .stop_first = 60s}).submit(returns_when_asked, g.name()).get(),
      "stopped");
}

TEST(StopFirst, ACallThatIgnoresItIsKilledAfterIt) {
  process_pool_executor pool{1};
  const gate g;
  const auto f =
      pool.with({.timeout = 10ms, .stop_first = 10ms}).submit(ignores_everything, g.name());
  EXPECT_THROW(f.get(), plait::task_timeout);
  EXPECT_EQ(pool.submit(twice, 2).get(), 4);
}

TEST(StopFirst, KillAsksFirstAsWell) {
  process_pool_executor pool{1};
  const gate g;
  const auto polite = pool.with({.stop_first = 60s}).submit(throws_when_asked, g.name());
  g.wait_for_arrival();
  EXPECT_TRUE(pool.kill(polite));
  EXPECT_THROW(polite.get(), plait::task_killed);
  EXPECT_EQ(pool.statistics().started, 1u);
  const gate h;
  const auto deaf = pool.with({.stop_first = 10ms}).submit(ignores_everything, h.name());
  h.wait_for_arrival();
  EXPECT_TRUE(pool.kill(deaf));
  EXPECT_THROW(deaf.get(), plait::task_killed);
}

}  // namespace

// Invariant 10: destructors neither terminate nor leak, and one shutdown sequence for every engine.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <latch>
#include <memory>
#include <thread>
#include <vector>

#include "plait/testing/gate.hpp"
#include "plait/testing/seed.hpp"
#include "plait/threads.hpp"

namespace {

using plait::thread_pool_executor;
constexpr auto run_pending = plait::shutdown_options::pending_calls::run;
constexpr auto cancel_pending = plait::shutdown_options::pending_calls::cancel;

// Holds one worker until it is opened. At a gate and not at a future: another thread would take the
// place of a worker that waits for a future.
struct held_worker {
  explicit held_worker(thread_pool_executor& pool)
      : call(pool.submit(&plait::testing::gate::pass, gate.name())) {
    gate.wait_for_arrival();
  }
  plait::testing::gate gate;
  plait::future<> call;
};

TEST(Invariant10Shutdown, DestructorRunsWhatWasSubmitted) {
  std::atomic<int> runs{0};
  std::vector<plait::future<>> calls;
  {
    thread_pool_executor pool(2);
    for (int i = 0; i < 1000; ++i) calls.push_back(pool.submit([&] { ++runs; }));
  }
  EXPECT_EQ(runs, 1000);
  for (const auto& c : calls) EXPECT_TRUE(c.done());
}

TEST(Invariant10Shutdown, CancelDropsWhatHasNotBegunAndWaitsForWhatHas) {
  thread_pool_executor pool(1);
  held_worker held(pool);
  std::atomic<int> runs{0};
  std::vector<plait::future<>> queued;
  for (int i = 0; i < 600; ++i) queued.push_back(pool.submit([&] { ++runs; }));
  std::thread closer([&] { pool.shutdown({.pending = cancel_pending}); });
  for (const auto& f : queued) EXPECT_THROW(f.get(), plait::cancelled_error);
  EXPECT_FALSE(held.call.done());
  held.gate.open();
  closer.join();
  EXPECT_TRUE(held.call.done());
  EXPECT_EQ(runs, 0);
}

TEST(Invariant10Shutdown, SubmitAfterwardsThrows) {
  for (const auto pending : {run_pending, cancel_pending}) {
    thread_pool_executor pool(2);
    EXPECT_EQ(pool.submit([] { return 1; }).get(), 1);
    pool.shutdown({.pending = pending});
    EXPECT_THROW(pool.submit([] {}), plait::executor_shutdown);
    EXPECT_THROW(static_cast<void>(pool.map([](int i) { return i; }, std::vector{1}).to_vector()),
                 plait::executor_shutdown);
  }
}

TEST(Invariant10Shutdown, MayBeAskedTwiceAndFromManyThreads) {
  thread_pool_executor pool(2);
  std::atomic<int> runs{0};
  for (int i = 0; i < 100; ++i) pool.submit([&] { ++runs; });
  std::vector<std::thread> closers;
  for (int i = 0; i < 4; ++i)
    closers.emplace_back([&] {
      pool.shutdown();
      EXPECT_EQ(runs, 100) << "every shutdown() waits";
    });
  for (auto& c : closers) c.join();
  pool.shutdown();
}

TEST(Invariant10Shutdown, FromOneOfItsOwnCallsWaitsForNothing) {
  thread_pool_executor pool(1);
  held_worker held(pool);
  std::atomic<int> runs{0};
  const auto closing = pool.submit([&] { pool.shutdown(); });
  const auto behind = pool.submit([&] { ++runs; });
  held.gate.open();
  closing.get();
  EXPECT_EQ(behind.exception(), nullptr);
  EXPECT_EQ(runs, 1);
  EXPECT_THROW(pool.submit([] {}), plait::executor_shutdown);
}

TEST(Invariant10Shutdown, CancelFromOneOfItsOwnCallsDropsWhatHasNotBegun) {
  thread_pool_executor pool(1);
  held_worker held(pool);
  const auto closing = pool.submit([&] { pool.shutdown({.pending = cancel_pending}); });
  const auto behind = pool.submit([] {});
  held.gate.open();
  closing.get();
  EXPECT_THROW(behind.get(), plait::cancelled_error);
}

TEST(Invariant10Shutdown, NoThreadIsLeftAfterwards) {
  thread_pool_executor pool(3);
  plait::testing::gate g;
  for (int i = 0; i < 3; ++i) pool.submit(&plait::testing::gate::pass, g.name());
  g.wait_for_arrival(3);
  EXPECT_EQ(pool.statistics().workers, 3u);
  g.open(3);
  pool.shutdown();
  EXPECT_EQ(pool.statistics().workers, 0u);
}

TEST(Invariant10Shutdown, AProgramThatEndsWaitsForItsStaticPool) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto leave = [] {
    static thread_pool_executor pool(2);
    for (int i = 0; i < 100; ++i) pool.submit([] { std::this_thread::yield(); });
    pool.submit([] { std::fputs("apple", stderr); });
    std::exit(0);
  };
  EXPECT_EXIT(leave(), ::testing::ExitedWithCode(0), "apple");
}

TEST(Invariant10Shutdown, WhatARunningCallSubmitsMeanwhileIsRun) {
  std::atomic<int> runs{0};
  thread_pool_executor pool(2);
  plait::promise<void> closed;
  const auto parent = pool.submit([&, f = closed.get_future()] {
    f.get();
    for (int i = 0; i < 10; ++i) pool.submit([&] { ++runs; });
  });
  std::thread closer([&] { pool.shutdown(); });
  for (;;) {  // until the pool is seen to be closed
    try {
      pool.submit([] {});
    } catch (const plait::executor_shutdown&) {
      break;
    }
  }
  closed.set_value();
  closer.join();
  EXPECT_EQ(parent.exception(), nullptr);
  EXPECT_EQ(runs, 10);
}

// The worker's deque holds 256; the rest went to the shared queue, which refused it once closed.
TEST(Invariant10Shutdown, MoreChildrenThanADequeHoldsAreRunWhileShuttingDown) {
  std::atomic<int> runs{0};
  thread_pool_executor pool(1);
  const auto parent = pool.submit([&] {
    pool.shutdown();
    for (int i = 0; i < 2000; ++i) pool.submit([&] { ++runs; });
  });
  EXPECT_EQ(parent.exception(), nullptr);
  pool.shutdown();
  EXPECT_EQ(runs, 2000);
}

// Idle workers left as soon as the pool was closed, and a call that waited for one of them hung.
TEST(Invariant10Shutdown, WorkersStayWhileARunningCallMayNeedThem) {
  for (int round = 0; round < 50; ++round) {
    thread_pool_executor pool(3);
    std::latch all(3);  // threads start as calls need them: these need three
    for (int i = 0; i < 3; ++i) pool.submit([&] { all.arrive_and_wait(); });
    all.wait();
    const auto parent = pool.submit([&] {
      pool.shutdown();
      plait::promise<int> from_child;
      const auto needed = from_child.get_future();
      pool.submit([&] { from_child.set_value(round); });
      return needed.get();  // not the child's own future: helping cannot serve it
    });
    EXPECT_EQ(parent.get(), round);
  }
}

// A call that submits itself again and again kept the pool alive for ever.
TEST(Invariant10Shutdown, CancelEndsACallThatResubmitsItself) {
  struct again {
    thread_pool_executor* pool;
    void operator()() const {
      try {
        pool->submit(*this);
      } catch (const plait::executor_shutdown&) {
      }
    }
  };
  thread_pool_executor pool(2);
  for (int i = 0; i < 4; ++i) pool.submit(again{&pool});
  pool.shutdown({.pending = cancel_pending});
}

// Invariant 1: whoever goes away, every future has a result.
TEST(Invariant1NoFutureHangs, ShutdownAtARandomMomentResolvesEverything) {
  plait::testing::random_source random;
  for (int round = 0; round < 150; ++round) {
    const auto workers = 1 + random.below(4);
    const auto pending = random.one_in(2) ? run_pending : cancel_pending;
    const auto close_after = random.below(400);
    std::atomic<int> runs{0};
    std::atomic<bool> may_close{false};
    std::vector<plait::future<>> calls;
    {
      thread_pool_executor pool(workers);
      std::thread closer([&] {
        while (!may_close.load(std::memory_order_acquire)) std::this_thread::yield();
        pool.shutdown({.pending = pending});
      });
      try {
        for (std::uint64_t i = 0; i < 400; ++i) {
          if (i == close_after) may_close.store(true, std::memory_order_release);
          calls.push_back(pool.submit([&] { ++runs; }));
          if (random.one_in(10)) calls[random.below(calls.size())].cancel();
        }
      } catch (const plait::executor_shutdown&) {
      }
      closer.join();
    }
    int ran = 0;
    for (const auto& c : calls) {
      ASSERT_TRUE(c.done());
      ran += c.cancelled() ? 0 : 1;
    }
    EXPECT_EQ(ran, runs) << "a call either ran or was cancelled";
  }
}

// A thread that began to wait asked the engine whether it was one of its workers, when the engine
// might just have ended the call and gone.
TEST(Invariant1NoFutureHangs, APoolMayGoWhileAnotherThreadBeginsToWaitForItsLastCall) {
  for (int round = 0; round < 300; ++round) {
    auto pool = std::make_unique<thread_pool_executor>(1);
    const auto last = pool->submit([] { return 7; });
    std::latch both(2);
    std::thread waiter([&] {
      both.arrive_and_wait();
      EXPECT_EQ(last.get(), 7);
    });
    both.arrive_and_wait();
    pool.reset();
    waiter.join();
  }
}

TEST(Invariant1NoFutureHangs, PoolDestroyedRightAfterItsBirth) {
  for (int i = 0; i < 200; ++i) const thread_pool_executor pool(4);
}

}  // namespace

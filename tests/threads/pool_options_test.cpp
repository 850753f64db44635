// What can be asked of a thread pool: priorities, names, limits, initializers, a size that changes.
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "plait/testing/gate.hpp"
#include "plait/testing/unhandled_recorder.hpp"
#include "plait/threads.hpp"

namespace {

using plait::call_priority;
using plait::thread_pool_executor;
using plait::thread_pool_options;
using plait::testing::gate;

plait::future<> hold(thread_pool_executor& pool, const gate& g) {
  auto f = pool.submit(&gate::pass, g.name());
  g.wait_for_arrival();
  return f;
}
// Comes back only when `width` calls run at the same time.
void meet(thread_pool_executor& pool, int width) {
  std::latch all(width);
  std::vector<plait::future<>> calls;
  for (int i = 0; i < width; ++i) calls.push_back(pool.submit([&] { all.arrive_and_wait(); }));
  for (const auto& c : calls) c.get();
}

TEST(PoolPriority, HigherCallsBeginFirstAndEqualOnesInOrder) {
  thread_pool_executor pool(1);
  gate g;
  const auto held = hold(pool, g);
  std::vector<int> order;
  const auto add = [&](call_priority priority, int n) {
    return pool.with({.priority = priority}).submit([&order, n] { order.push_back(n); });
  };
  const std::vector calls{add(call_priority::low, 5),    add(call_priority::normal, 3),
                          add(call_priority::high, 1),   add(call_priority::low, 6),
                          add(call_priority::normal, 4), add(call_priority::high, 2)};
  g.open();
  for (const auto& c : calls) c.get();
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3, 4, 5, 6}));
}

TEST(PoolPriority, AHighCallOvertakesABatchThatAWorkerHasTaken) {
  thread_pool_executor pool(1);
  gate g, h;
  const auto first = hold(pool, g);
  const auto second = pool.submit(&gate::pass, h.name());
  std::vector<plait::future<>> normal;
  std::atomic<int> ran{0};
  int ran_before_high = -1;
  for (int i = 0; i < 50; ++i) normal.push_back(pool.submit([&] { ++ran; }));
  g.open();
  h.wait_for_arrival();  // the worker holds a share of the fifty now
  const auto high =
      pool.with({.priority = call_priority::high}).submit([&] { ran_before_high = ran; });
  h.open();
  high.get();
  EXPECT_EQ(ran_before_high, 0);
}

TEST(PoolNames, ReportOfACallGivesItsName) {
  const plait::testing::unhandled_recorder unhandled;
  thread_pool_executor pool(1);
  pool.with({.name = "thumbnail"}).submit([] { throw std::runtime_error("too small"); });
  ASSERT_TRUE(unhandled.wait_for_count(1));
  EXPECT_NE(unhandled.entries()[0].origin.find("thumbnail"), std::string::npos)
      << unhandled.entries()[0].origin;
}

TEST(PoolLimit, FullQueueRefusesWhenItIsTold) {
  thread_pool_executor pool(
      {.max_workers = 1, .max_pending = 2, .if_full = thread_pool_options::full_queue::refuse});
  gate g;
  const auto held = hold(pool, g);
  const auto a = pool.submit([] { return 1; });
  const auto b = pool.try_submit([] { return 2; });
  ASSERT_TRUE(b.has_value());
  auto watched = std::make_shared<int>(0);
  EXPECT_THROW(pool.submit([watched] {}), plait::executor_full);
  EXPECT_FALSE(pool.try_submit([watched] {}).has_value());
  EXPECT_EQ(watched.use_count(), 1) << "a refused call leaves nothing behind";
  g.open();
  EXPECT_EQ(a.get() + b->get(), 3);
  EXPECT_EQ(pool.submit([] { return 4; }).get(), 4);
}

TEST(PoolLimit, FullQueueMakesSubmitWaitAndLosesNothing) {
  thread_pool_executor pool({.max_workers = 2, .max_pending = 3});
  std::atomic<int> ran{0};
  std::atomic<std::size_t> most{0};
  std::vector<std::thread> submitters;
  for (int t = 0; t < 3; ++t)
    submitters.emplace_back([&] {
      for (int i = 0; i < 3000; ++i) {
        pool.submit([&] { ++ran; });
        if (const auto queued = pool.statistics().queued; queued > most) most = queued;
      }
    });
  for (auto& s : submitters) s.join();
  pool.shutdown();
  EXPECT_EQ(ran, 9000);
  EXPECT_LE(most, 3u);
}

TEST(PoolLimit, CallsOfThePoolItselfAreExempt) {
  thread_pool_executor pool({.max_workers = 1, .max_pending = 1});
  const auto f = pool.submit([&] {
    std::vector<plait::future<int>> children;
    for (int i = 0; i < 50; ++i) children.push_back(pool.submit([] { return 1; }));
    int sum = 0;
    for (const auto& c : children) sum += c.get();
    return sum;
  });
  EXPECT_EQ(f.get(), 50);
}

TEST(PoolLimit, ShutdownWakesASubmitThatWaits) {
  thread_pool_executor pool({.max_workers = 1, .max_pending = 1});
  gate g;
  const auto held = hold(pool, g);
  const auto queued = pool.submit([] {});
  std::latch about_to(1);
  std::thread submitter([&] {
    about_to.count_down();
    EXPECT_THROW(pool.submit([] {}), plait::executor_shutdown);
  });
  about_to.wait();
  std::thread closer([&] { pool.shutdown(); });
  submitter.join();
  g.open();
  closer.join();
  EXPECT_EQ(queued.exception(), nullptr);
}

TEST(PoolInitializer, RunsOnceOnEachThreadBeforeItsFirstCall) {
  std::atomic<int> initialized{0};
  static thread_local bool here = false;
  {
    thread_pool_executor pool({.max_workers = 3, .initializer = [&] {
                                 here = true;
                                 ++initialized;
                               }});
    meet(pool, 3);
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(pool.submit([] { return here; }).get());
  }
  EXPECT_EQ(initialized, 3);
}

TEST(PoolInitializer, ThatThrowsBreaksThePoolAndSaysWhy) {
  const plait::testing::unhandled_recorder unhandled;
  plait::promise<void> go;
  thread_pool_executor pool({.max_workers = 1, .initializer = [f = go.get_future()] {
                               f.get();
                               throw std::runtime_error("no licence");
                             }});
  const auto queued = pool.submit([] { return 1; });
  go.set_value();
  try {
    queued.get();
    FAIL() << "the call ran without its initializer";
  } catch (const plait::broken_executor& e) {
    EXPECT_NE(std::string(e.what()).find("no licence"), std::string::npos) << e.what();
  }
  EXPECT_THROW(pool.submit([] {}), plait::broken_executor);
  EXPECT_EQ(unhandled.count(), 0u) << "what submit() threw is not reported as lost";
}

TEST(PoolSize, CanGrowAndShrinkWhileItWorks) {
  thread_pool_executor pool(1);
  pool.resize(4);
  EXPECT_EQ(pool.max_workers(), 4u);
  meet(pool, 4);
  pool.resize(1);
  for (auto s = pool.statistics(); s.idle != s.workers; s = pool.statistics())
    std::this_thread::yield();
  std::atomic<int> at_once{0}, most{0};
  std::vector<plait::future<>> calls;
  for (int i = 0; i < 500; ++i)
    calls.push_back(pool.submit([&] {
      const int n = ++at_once;
      if (n > most) most = n;
      std::this_thread::yield();
      --at_once;
    }));
  for (const auto& c : calls) c.get();
  EXPECT_EQ(most, 1);
  EXPECT_THROW(pool.resize(0), std::invalid_argument);
}

TEST(PoolSize, ElasticPoolGrowsWhileItsCallsBlockAndShrinksWhenIdle) {
  thread_pool_executor pool({.max_workers = 24,
                             .size = thread_pool_options::sizing::elastic,
                             .idle_timeout = std::chrono::milliseconds(1)});
  meet(pool, 24);
  const auto base = std::min<std::size_t>(plait::usable_cpu_count(), 24);
  while (pool.statistics().workers > base) std::this_thread::yield();
  meet(pool, 24);
}

TEST(PoolStatistics, CountWhatWasDone) {
  thread_pool_executor pool(2);
  std::vector<plait::future<>> calls;
  for (int i = 0; i < 100; ++i) calls.push_back(pool.submit([] {}));
  for (const auto& c : calls) c.get();
  while (pool.statistics().done != 100) std::this_thread::yield();  // counted just after the result
  gate g;
  const auto held = hold(pool, g);
  EXPECT_EQ(pool.statistics().running, 1u);
  g.open();
}

// ---- Endings with a deadline, and from within ---------------------------------------------------

TEST(Invariant10Shutdown, AfterTheGraceQueuedCallsAreCancelledAndRunningOnesAskedToStop) {
  thread_pool_executor pool(1);
  plait::promise<void> begun;
  const auto running = pool.submit([&](std::stop_token stop) {
    begun.set_value();
    while (!stop.stop_requested()) std::this_thread::yield();
    return "stopped";
  });
  begun.get_future().get();
  const auto queued = pool.submit([] {});
  pool.shutdown({.grace = std::chrono::milliseconds(1)});
  EXPECT_STREQ(running.get(), "stopped");
  EXPECT_TRUE(queued.cancelled());
}

TEST(Invariant10Shutdown, APoolMayBeDestroyedByOneOfItsOwnCalls) {
  for (const int workers : {1, 3}) {
    auto pool = std::make_unique<thread_pool_executor>(workers);
    gate g;
    const auto held = hold(*pool, g);
    std::atomic<int> ran{0};
    const auto destroys = pool->submit([&] { pool.reset(); });
    std::vector<plait::future<>> behind;
    if (workers == 1)  // else the pool may be gone while we submit
      for (int i = 0; i < 20; ++i) behind.push_back(pool->submit([&] { ++ran; }));
    g.open();
    destroys.get();
    held.get();
    for (const auto& b : behind) EXPECT_EQ(b.exception(), nullptr);
    EXPECT_EQ(ran, static_cast<int>(behind.size()));
  }
}

// ---- Waits that would halt the pool -------------------------------------------------------------

TEST(Invariant5NoSilentDeadlock, TwoCallsThatWaitForEachOtherAreTold) {
  for (int round = 0; round < 50; ++round) {
    thread_pool_executor pool(2);
    plait::promise<plait::future<int>> first, second;
    const auto a = pool.submit([other = second.get_future()] { return other.get().get(); });
    const auto b = pool.submit([other = first.get_future()] { return other.get().get(); });
    first.set_value(a);
    second.set_value(b);
    EXPECT_THROW(a.get(), plait::would_deadlock);
    EXPECT_THROW(b.get(), plait::would_deadlock);
  }
}

TEST(Invariant5NoSilentDeadlock, TwoCallsOfTwoPoolsThatWaitForEachOtherAreTold) {
  thread_pool_executor left(1), right(1);
  plait::promise<plait::future<int>> first, second;
  const auto a = left.submit([other = second.get_future()] { return other.get().get(); });
  const auto b = right.submit([other = first.get_future()] { return other.get().get(); });
  first.set_value(a);
  second.set_value(b);
  EXPECT_THROW(a.get(), plait::would_deadlock);
  EXPECT_THROW(b.get(), plait::would_deadlock);
}

TEST(Invariant5NoSilentDeadlock, AnotherThreadTakesThePlaceOfOneThatWaitsForALaterCall) {
  for (const int workers : {1, 3}) {
    for (int round = 0; round < 100; ++round) {
      thread_pool_executor pool(workers);
      plait::promise<int> from_later;
      std::vector<plait::future<int>> waiting;
      for (int i = 0; i < workers; ++i)
        waiting.push_back(pool.submit([f = from_later.get_future()] { return f.get(); }));
      pool.submit([&] { from_later.set_value(round); });
      for (const auto& w : waiting) EXPECT_EQ(w.get(), round);
    }
  }
}

}  // namespace

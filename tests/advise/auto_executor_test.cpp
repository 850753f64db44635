// The executor that chooses its own width: what it promises whatever it chooses, and that it does.
#include "plait/advise/auto_executor.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <numeric>
#include <sstream>
#include <thread>

#include "advise/call_lane.hpp"
#include "plait/advise.hpp"
#include "plait/coroutines.hpp"

namespace {

using namespace std::chrono_literals;
using plait::auto_executor;

std::vector<int> numbers_to(int end) {
  std::vector<int> numbers(static_cast<std::size_t>(end));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}
int twice(int n) { return 2 * n; }
plait::task<int> twice_later(int n) {
  co_await plait::sleep(1ms);
  co_return 2 * n;
}

TEST(AutoExecutor, BlockedCallsGetMoreThreadsUntilAllOfThemRun) {
  auto_executor executor({.cores = 1});
  std::vector<plait::future<void>> calls;
  // They end when all have begun: one at a time would hang. A gate is a futex, which counts as a
  // lock, so they wait for something else: a pipe.
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  std::atomic<int> begun{0};
  constexpr int wanted = 12;
  for (int i = 0; i < wanted; ++i)
    calls.push_back(executor.submit([&] {
      ++begun;
      char byte;
      EXPECT_EQ(read(ends[0], &byte, 1), 1);
    }));
  while (begun < wanted)
    std::this_thread::sleep_for(1ms);  // the test's limit, if it does not widen
  EXPECT_GE(executor.threads(), 8u);
  EXPECT_EQ(write(ends[1], "............", wanted), wanted);
  for (auto& call : calls) call.get();
  close(ends[0]);
  close(ends[1]);
}

TEST(AutoExecutor, StaysWithinItsBounds) {
  auto_executor executor({.min_threads = 2, .max_threads = 3, .cores = 1});
  std::atomic<int> now{0}, most{0};
  executor
      .map(
          [&](int n) {
            const int here = ++now;
            for (int seen = most; here > seen && !most.compare_exchange_weak(seen, here);) {
            }
            std::this_thread::sleep_for(1ms);
            --now;
            return n;
          },
          numbers_to(100))
      .to_vector();
  EXPECT_LE(most, 3);
  EXPECT_GE(executor.threads(), 2u);
}

TEST(AutoExecutor, RefusesBoundsThatContradict) {
  EXPECT_THROW(auto_executor({.min_threads = 3, .max_threads = 2}), std::invalid_argument);
  EXPECT_THROW(auto_executor({.min_threads = 0}), std::invalid_argument);
  EXPECT_THROW(auto_executor({.min_tasks = 0}), std::invalid_argument);
  EXPECT_THROW(auto_executor({.max_threads = 1025}), std::invalid_argument);
}

TEST(AutoExecutor, CoroutinesRunOnALoopAndGiveTheirResults) {
  auto_executor executor;
  EXPECT_EQ(executor.submit(twice_later, 21).get(), 42);
  EXPECT_EQ(executor.with({.name = "later"}).submit(twice_later, 4).get(), 8);
  std::vector<int> expected = numbers_to(500);
  for (int& n : expected) n *= 2;
  EXPECT_EQ(executor.map(twice_later, numbers_to(500)).to_vector(), expected);
  EXPECT_EQ(executor.report().awaiting.calls, 502u);
  EXPECT_EQ(executor.report().blocking.calls, 0u);
}

TEST(AutoExecutor, NoMoreCoroutinesAreUnderWayThanAllowed) {
  auto_executor executor({.max_tasks = 6, .cores = 2});
  std::atomic<int> now{0}, most{0};
  const auto counted = [&](int n) -> plait::task<int> {
    const int here = ++now;
    for (int seen = most; here > seen && !most.compare_exchange_weak(seen, here);) {
    }
    co_await plait::sleep(1ms);
    --now;
    co_return n;
  };
  EXPECT_EQ(executor.map(counted, numbers_to(200)).to_vector(), numbers_to(200));
  EXPECT_LE(most, 6);
}

TEST(AutoExecutor, ACoroutineThatAwaitsAnotherOfItsExecutorNeedsNoSecondPlace) {
  auto_executor executor({.max_tasks = 1, .cores = 1});
  const auto outer = [&](int n) -> plait::task<int> {
    co_return co_await executor.submit(twice_later, n) + 1;
  };
  EXPECT_EQ(executor.map(outer, numbers_to(5)).to_vector(), (std::vector{1, 3, 5, 7, 9}));
}

TEST(AutoExecutor, ACoroutineHearsItsStop) {
  auto_executor executor({.max_tasks = 1, .cores = 1});
  std::atomic<bool> waits{false};
  const auto forever = [&]() -> plait::task<> {
    waits = true;
    co_await plait::sleep(1h);
  };
  const auto running = executor.submit(forever);
  const auto queued = executor.submit(forever);  // has no place yet
  while (!waits) std::this_thread::yield();
  queued.cancel();
  running.cancel();
  EXPECT_THROW(queued.get(), plait::cancelled_error);
  EXPECT_THROW(running.get(), plait::cancelled_error);
  EXPECT_EQ(executor.submit(twice_later, 1).get(), 2) << "the place was given back";
}

TEST(AutoExecutor, CoroutinesThatFailGiveTheirPlaceBack) {
  auto_executor executor({.max_tasks = 1, .cores = 1});
  const auto fails = [](int n) -> plait::task<int> {
    co_await plait::sleep(0ms);
    if (n >= 0) throw std::out_of_range("always");
    co_return n;
  };
  for (int i = 0; i < 3; ++i) EXPECT_THROW(executor.submit(fails, i).get(), std::out_of_range);
  EXPECT_EQ(executor.submit(twice_later, 1).get(), 2);
}

int crashes(int n) {
  if (n == 1) std::abort();
  return n;
}

TEST(AutoExecutor, AnIsolatedCallThatCrashesCostsOnlyItself) {
  auto_executor executor({.cores = 1});
  EXPECT_EQ(executor.isolated().submit(crashes, 0).get(), 0);
  EXPECT_THROW(executor.isolated().submit(crashes, 1).get(), plait::worker_crashed);
  EXPECT_EQ(executor.isolated().with({.timeout = 1h}).submit(crashes, 2).get(), 2);
  EXPECT_EQ(executor.submit(twice, 4).get(), 8);
  EXPECT_EQ(executor.report().isolated_crashes, 1u);
}

TEST(AutoExecutor, TakesNothingAfterShutdown) {
  auto_executor executor;
  EXPECT_EQ(executor.submit(twice_later, 1).get(), 2);
  executor.shutdown();
  EXPECT_THROW(executor.submit(twice, 1), plait::executor_shutdown);
  EXPECT_THROW(executor.submit(twice_later, 1), plait::executor_shutdown);
  EXPECT_THROW(executor.isolated(), plait::executor_shutdown);
}

TEST(AutoExecutor, ShutdownThatCancelsResolvesEveryCoroutine) {
  auto_executor executor({.max_tasks = 2, .cores = 2});
  const auto forever = []() -> plait::task<> { co_await plait::sleep(1h); };
  std::vector<plait::future<void>> all;
  for (int i = 0; i < 20; ++i) all.push_back(executor.submit(forever));
  executor.shutdown({.pending = plait::shutdown_options::pending_calls::cancel});
  for (const auto& f : all) EXPECT_TRUE(f.done());
}

TEST(AutoExecutor, MayBeDestroyedByOneOfItsOwnCalls) {
  auto executor = std::make_unique<auto_executor>();
  auto& e = *executor;
  e.submit([owned = std::move(executor)]() mutable { owned.reset(); }).get();
}

TEST(AutoExecutor, ReportsWhatItSawInALineForEachForm) {
  auto_executor executor({.cores = 2});
  std::ostringstream nothing, something;
  nothing << executor.report();
  EXPECT_EQ(nothing.str(),
            "0 blocking calls: not measured, since none had to wait for another; 2 threads");
  executor
      .map(
          [](int n) {
            std::this_thread::sleep_for(5ms);
            return n;
          },
          numbers_to(300))
      .to_vector();
  executor.submit(twice_later, 1).get();
  const auto report = executor.report();
  EXPECT_EQ(report.blocking.calls, 300u);
  EXPECT_TRUE(report.blocking.is_known);
  EXPECT_LE(report.blocking.classified_after, 32u);
  EXPECT_LT(report.blocking.computing, 0.25);
  EXPECT_GT(report.blocking.width, 2u);
  EXPECT_NE(report.advice.row, nullptr);
  something << report;
  EXPECT_NE(something.str().find("the bottleneck is I/O"), std::string::npos) << something.str();
  EXPECT_NE(something.str().find("\n1 coroutines: "), std::string::npos) << something.str();
}

TEST(AutoExecutor, TellsWhatCallsAreThatNeverHadToWait) {
  auto_executor executor({.min_threads = 2, .cores = 2});
  for (int i = 0; i < 20; ++i) executor.submit([] { std::this_thread::sleep_for(2ms); }).get();
  const auto report = executor.report();
  EXPECT_EQ(report.blocking.calls, 20u);
  EXPECT_FALSE(report.blocking.is_known);
  EXPECT_LT(report.blocking.computing, 0.25);
  EXPECT_LE(report.blocking.classified_after, 20u);
  std::ostringstream text;
  text << report;
  EXPECT_NE(text.str().find("None had to wait for another"), std::string::npos) << text.str();
}

// The watcher tells a thread that waits for a lock from one that waits for the world, as soon as the
// kernel has it there.
TEST(CallLane, KnowsWhatAThreadWaitsFor) {
  using plait::detail::call_lane;
  if (access("/proc/self/syscall", R_OK) != 0) GTEST_SKIP() << "this kernel does not tell";
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  std::mutex lock;
  std::unique_lock held(lock);
  std::atomic<call_lane*> lane{nullptr};
  std::thread blocked([&] {
    call_lane mine;
    lane = &mine;
    char byte;
    EXPECT_EQ(read(ends[0], &byte, 1), 1);
    const std::lock_guard hold(lock);
  });
  while (lane == nullptr) std::this_thread::yield();
  while (lane.load()->look() != call_lane::waiting::for_the_world) std::this_thread::yield();
  EXPECT_EQ(write(ends[1], ".", 1), 1);
  while (lane.load()->look() != call_lane::waiting::for_a_futex) std::this_thread::yield();
  held.unlock();
  blocked.join();
  close(ends[0]);
  close(ends[1]);
}

}  // namespace

// What a call may cost: timeouts, deadlines, retries, kill() and the end of a pool's patience.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <plait/coroutines.hpp>
#include <plait/processes.hpp>
#include <plait/testing/gate.hpp>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using plait::process_pool_executor;
using plait::shared_array;

int twice(int n) { return 2 * n; }
int for_ever(int n) {
  for (;;) pause();
  return n;
}
int own_pid() { return getpid(); }

// Tells the gate that it runs, and never ends.
int run_for_ever(std::string gate) {
  plait::testing::gate::arrive(gate);
  return for_ever(0);
}
int begin(const shared_array<int>& attempts) {
  return std::atomic_ref<int>(attempts[0]).fetch_add(1) + 1;
}
int die_until(shared_array<int> attempts, int last) {
  const int attempt = begin(attempts);
  if (attempt < last) raise(SIGKILL);
  return attempt;
}

std::string text_of(const plait::future<int>& f) {
  try {
    f.get();
  } catch (const std::exception& e) {
    return e.what();
  }
  return "";
}

TEST(Limits, ACallThatRunsTooLongIsKilledAndSaysSo) {
  process_pool_executor pool{1};
  const int before = pool.submit(own_pid).get();
  auto slow = pool.with({.name = "slow one", .timeout = 50ms}).submit(for_ever, 1);
  EXPECT_THROW(slow.get(), plait::task_timeout);
  EXPECT_NE(text_of(slow).find("\"slow one\""), std::string::npos) << text_of(slow);
  EXPECT_NE(text_of(slow).find("ran longer than its timeout of 50 ms"), std::string::npos);
  EXPECT_NE(pool.submit(own_pid).get(), before);
  EXPECT_EQ(pool.statistics().crashed, 0u);
}

TEST(Limits, ATimeoutIsATimeoutErrorLikeAnyOther) {
  process_pool_executor pool{1};
  EXPECT_THROW(pool.with({.timeout = 1ms}).submit(for_ever, 1).get(), plait::timeout_error);
}

TEST(Limits, TheTimeInTheQueueIsNotTheCallsOwn) {
  process_pool_executor pool{1};
  std::vector<plait::future<int>> calls;
  for (int i = 0; i < 30; ++i)  // together they take longer than one may
    calls.push_back(pool.with({.timeout = 1s})
                        .submit(
                            [](int n) {
                              usleep(50'000);
                              return n;
                            },
                            i));
  for (int i = 0; i < 30; ++i) EXPECT_EQ(calls[static_cast<std::size_t>(i)].get(), i);
}

TEST(Limits, ThoseQueuedBehindACallThatIsKilledMoveElsewhere) {
  process_pool_executor pool{1};
  pool.submit(twice, 1).get();
  std::vector<plait::future<int>> others;
  auto slow = pool.with({.timeout = 50ms}).submit(for_ever, 1);
  for (int i = 0; i < 100; ++i) others.push_back(pool.submit(twice, i));
  EXPECT_THROW(slow.get(), plait::task_timeout);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(others[static_cast<std::size_t>(i)].get(), 2 * i);
}

TEST(Limits, ADeadlineCountsFromTheSubmission) {
  process_pool_executor pool{1};
  plait::testing::gate running;
  auto busy = pool.submit(run_for_ever, running.name());
  running.wait_for_arrival();
  auto queued = pool.with({.deadline = 50ms}).submit(twice, 1);
  EXPECT_THROW(queued.get(), plait::task_timeout);
  EXPECT_NE(text_of(queued).find("had not begun"), std::string::npos) << text_of(queued);
  EXPECT_TRUE(pool.kill(busy));
  EXPECT_THROW(busy.get(), plait::task_killed);
  auto runs = pool.with({.timeout = 1h, .deadline = 50ms}).submit(for_ever, 1);
  EXPECT_THROW(runs.get(), plait::task_timeout);
  EXPECT_EQ(pool.with({.deadline = 1h}).submit(twice, 3).get(), 6);
}

TEST(Limits, KillEndsARunningCallAndNobodyElses) {
  process_pool_executor pool{2};
  plait::testing::gate running;
  auto a = pool.submit(run_for_ever, running.name());
  auto b = pool.submit(run_for_ever, running.name());
  std::vector<plait::future<int>> queued;
  for (int i = 0; i < 20; ++i) queued.push_back(pool.submit(twice, i));
  running.wait_for_arrival(2);
  EXPECT_TRUE(pool.kill(a));
  EXPECT_THROW(a.get(), plait::task_killed);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(queued[static_cast<std::size_t>(i)].get(), 2 * i);
  EXPECT_FALSE(b.done());
  EXPECT_FALSE(pool.kill(a)) << "it has its result";
  EXPECT_TRUE(pool.kill(b));
  EXPECT_THROW(b.get(), plait::task_killed);
}

TEST(Limits, KillOfACallThatHasNotBegunCancelsIt) {
  process_pool_executor pool{1};
  auto busy = pool.submit(for_ever, 0);
  auto queued = pool.submit(twice, 1);
  EXPECT_TRUE(pool.kill(queued));
  EXPECT_TRUE(queued.cancelled());
  EXPECT_TRUE(pool.kill(busy));
  EXPECT_THROW(static_cast<void>(busy.get()), plait::error);
}

TEST(Limits, KillKnowsItsOwnCalls) {
  process_pool_executor pool{1}, other{1};
  auto elsewhere = other.submit(twice, 1);
  EXPECT_FALSE(pool.kill(elsewhere));
  plait::promise<int> promise;
  EXPECT_FALSE(pool.kill(promise.get_future()));
  promise.set_value(1);
  EXPECT_EQ(elsewhere.get(), 2);
}

// A kill and the end of its call race: the call is killed or has its result, and nobody else loses.
TEST(Limits, KillsThatRaceWithTheEndsOfTheirCallsHitNobodyElse) {
  process_pool_executor pool{2};
  int killed = 0, wrong = 0;
  std::vector<plait::future<int>> calls;
  std::vector<bool> hit(2000);
  for (int i = 0; i < 2000; ++i) calls.push_back(pool.submit(twice, i));
  for (std::size_t i = 0; i < calls.size(); i += 20) {
    if (i != 0) calls[i - 1].wait();
    hit[i] = pool.kill(calls[i]);
  }
  for (std::size_t i = 0; i < calls.size(); ++i) {
    try {
      wrong += calls[i].get() != 2 * static_cast<int>(i);
    } catch (const plait::task_killed&) {
      ++killed;
      wrong += !hit[i];
    } catch (const plait::cancelled_error&) {
      ++killed;
      wrong += !hit[i];
    }
  }
  EXPECT_EQ(wrong, 0) << killed << " were killed";
}

TEST(Limits, ACallWithRetriesBeginsAgainAfterACrash) {
  process_pool_executor pool{1};
  shared_array<int> attempts(1);
  EXPECT_EQ(pool.with({.retries = 3}).submit(die_until, attempts, 3).get(), 3);
  EXPECT_EQ(attempts[0], 3);
}

TEST(Limits, ACallThatAlwaysCrashesIsGivenUp) {
  process_pool_executor pool{1};
  shared_array<int> attempts(1);
  auto f = pool.with({.retries = 2}).submit(die_until, attempts, 100);
  try {
    f.get();
    FAIL();
  } catch (const plait::worker_crashed& e) {
    EXPECT_EQ(e.attempt(), 3u);
    EXPECT_NE(std::string(e.what()).find("attempt 3"), std::string::npos);
  }
  EXPECT_EQ(attempts[0], 3);
  EXPECT_EQ(pool.submit(twice, 1).get(), 2);
}

TEST(Limits, WhatACallThrowsIsNoReasonToRepeatIt) {
  process_pool_executor pool{1};
  shared_array<int> attempts(1);
  auto f = pool.with({.retries = 5})
               .submit(
                   [](shared_array<int> begun) -> int {
                     begin(begun);
                     throw std::out_of_range("no");
                   },
                   attempts);
  EXPECT_THROW(f.get(), std::out_of_range);
  EXPECT_EQ(attempts[0], 1);
}

TEST(Limits, MapTakesThem) {
  process_pool_executor pool{2};
  const std::vector<int> numbers{1, 2, 3};
  EXPECT_EQ(pool.with({.timeout = 10s}).map(twice, numbers).to_vector(),
            (std::vector<int>{2, 4, 6}));
}

TEST(Limits, RunningIsTrueOnlyOfWhatHasBegun) {
  process_pool_executor pool{1};
  plait::testing::gate running;
  auto busy = pool.submit(run_for_ever, running.name());
  auto queued = pool.submit(twice, 1);
  running.wait_for_arrival();
  EXPECT_TRUE(busy.running());
  EXPECT_FALSE(queued.running());
  EXPECT_TRUE(pool.kill(busy));
  EXPECT_THROW(busy.get(), plait::task_killed);
  EXPECT_EQ(queued.get(), 2);
  EXPECT_FALSE(busy.running());
  EXPECT_FALSE(queued.running());
}

TEST(Terminate, KillsWhatRunsCancelsWhatWaitsAndEnds) {
  process_pool_executor pool{2};
  plait::testing::gate running;
  auto a = pool.submit(run_for_ever, running.name());
  auto b = pool.submit(run_for_ever, running.name());
  running.wait_for_arrival(2);
  auto c = pool.submit(twice, 1);
  pool.terminate_workers();
  EXPECT_THROW(a.get(), plait::task_killed);
  EXPECT_THROW(b.get(), plait::task_killed);
  EXPECT_TRUE(c.cancelled());
  EXPECT_TRUE(pool.worker_pids().empty());
  EXPECT_THROW(pool.submit(twice, 1), plait::executor_shutdown);
}

TEST(Terminate, AShutdownsGraceIsForWhatRuns) {
  process_pool_executor pool{1};
  plait::testing::gate running;
  auto slow = pool.submit(run_for_ever, running.name());
  auto behind = pool.submit(twice, 2);
  running.wait_for_arrival();
  pool.shutdown({.grace = 100ms});
  EXPECT_THROW(slow.get(), plait::task_killed);
  EXPECT_TRUE(behind.cancelled());
}

TEST(Terminate, ACallWithRetriesIsNotBegunAgain) {
  process_pool_executor pool{1};
  auto slow = pool.with({.retries = 10}).submit(for_ever, 1);
  pool.terminate_workers();
  EXPECT_THROW(static_cast<void>(slow.get()), plait::error);
}

TEST(Limits, ATaskThatIsAwaitedByACoroutineTimesOutThere) {
  process_pool_executor pool{1};
  const auto program = [&]() -> plait::task<bool> {
    try {
      co_await pool.with({.timeout = 20ms}).submit(for_ever, 1);
    } catch (const plait::task_timeout&) {
      co_return true;
    }
    co_return false;
  };
  EXPECT_TRUE(plait::run(program()));
}

}  // namespace

// What the thread pool adds to the promises of every executor (tests/conformance): its threads,
// their number and names, stealing, idling, and what can be read of it.
#include "plait/threads/thread_pool_executor.hpp"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <latch>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "plait/testing/gate.hpp"
#include "plait/threads.hpp"

namespace {

using plait::thread_pool_executor;

static_assert(plait::executor<thread_pool_executor>);

TEST(ThreadPool, RefusesANumberOfWorkersBelowOne) {
  EXPECT_THROW(thread_pool_executor(0), std::invalid_argument);
  EXPECT_THROW(thread_pool_executor(-1), std::invalid_argument);
}

TEST(ThreadPool, TakesItsSizeFromTheMachineWhenItIsNotTold) {
  EXPECT_EQ(thread_pool_executor().max_workers(), plait::usable_cpu_count());
  EXPECT_EQ(thread_pool_executor(3).max_workers(), 3u);
}

TEST(ThreadPool, ReachesItsFullWidthWhenCallsBlock) {
  // Every call waits for all the others: that ends only if each has a thread of its own.
  for (int round = 0; round < 30; ++round) {
    thread_pool_executor pool(8);
    std::latch all(8);
    std::vector<plait::future<>> calls;
    for (int i = 0; i < 8; ++i) calls.push_back(pool.submit([&] { all.arrive_and_wait(); }));
    for (const auto& c : calls) c.get();
    EXPECT_EQ(pool.statistics().workers, 8u);
  }
}

TEST(ThreadPool, ReachesItsFullWidthAgainAfterItHasIdled) {
  thread_pool_executor pool(4);
  for (int round = 0; round < 2000; ++round) {
    std::latch all(4);
    std::vector<plait::future<>> calls;
    for (int i = 0; i < 4; ++i) calls.push_back(pool.submit([&] { all.arrive_and_wait(); }));
    for (const auto& c : calls) c.get();
  }
}

TEST(ThreadPool, ReachesItsFullWidthForCallsOfACall) {
  thread_pool_executor pool(4);
  for (int round = 0; round < 500; ++round) {
    pool.submit([&] {
          std::latch all(4);
          std::vector<plait::future<>> calls;
          for (int i = 0; i < 3; ++i) calls.push_back(pool.submit([&] { all.arrive_and_wait(); }));
          all.arrive_and_wait();  // blocks without helping: the others must steal
          for (const auto& c : calls) c.get();
        })
        .get();
  }
}

TEST(ThreadPool, CallsFromOutsideBeginInTheOrderOfSubmission) {
  thread_pool_executor pool(1);
  std::vector<int> order;
  std::vector<plait::future<>> calls;
  for (int i = 0; i < 500; ++i) calls.push_back(pool.submit([&order, i] { order.push_back(i); }));
  for (const auto& c : calls) c.get();
  for (int i = 0; i < 500; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
}

TEST(ThreadPool, NamesItsThreads) {
  thread_pool_executor pool({.max_workers = 1, .thread_name_prefix = "cook"});
  const auto name = pool.submit([] {
    char text[16] = {};
    pthread_getname_np(pthread_self(), text, sizeof text);
    return std::string(text);
  });
  EXPECT_EQ(name.get(), "cook-0");
}

TEST(ThreadPool, NamesItsThreadsWhenItIsNotTold) {
  thread_pool_executor pool(1);
  const auto name = pool.submit([] {
    char text[16] = {};
    pthread_getname_np(pthread_self(), text, sizeof text);
    return std::string(text);
  });
  EXPECT_EQ(name.get(), "plait-0");
}

TEST(ThreadPool, HasNoMoreThreadsThanWorkersHoweverManyCallsThereAre) {
  constexpr std::size_t workers = 4, calls = 15 * workers;
  thread_pool_executor pool(workers);
  plait::testing::gate g;
  std::vector<plait::future<>> all;
  for (std::size_t i = 0; i < calls; ++i)
    all.push_back(pool.submit(&plait::testing::gate::pass, g.name()));
  g.wait_for_arrival(workers);
  EXPECT_EQ(pool.statistics().workers, workers);
  EXPECT_EQ(pool.statistics().queued, calls - workers);
  g.open(calls);
  for (const auto& f : all) f.get();
  EXPECT_EQ(pool.statistics().workers, workers);
}

TEST(ThreadPool, AnIdleThreadIsUsedBeforeAnotherIsStarted) {
  thread_pool_executor pool(8);
  for (int i = 0; i < 20; ++i) {
    while (pool.statistics().idle != pool.statistics().workers) std::this_thread::yield();
    EXPECT_EQ(pool.submit([i] { return i; }).get(), i);
  }
  EXPECT_EQ(pool.statistics().workers, 1u);
}

TEST(ThreadPool, ACallMayForkAChildThatLeaves) {  // CPython bpo-43944: the child joined our threads
  thread_pool_executor pool(2);
  const auto status = pool.submit([] {
    const pid_t child = fork();
    if (child == 0) _exit(7);
    int how = -1;
    waitpid(child, &how, 0);
    return WIFEXITED(how) ? WEXITSTATUS(how) : -1;
  });
  EXPECT_EQ(status.get(), 7);
}

TEST(ThreadPool, KnowsItsOwnThreads) {
  thread_pool_executor pool(1), other(1);
  EXPECT_FALSE(pool.is_current());
  EXPECT_TRUE(pool.submit([&] { return pool.is_current() && !other.is_current(); }).get());
}

TEST(ThreadPool, TellsWhatItIsDoing) {
  thread_pool_executor pool(1);
  plait::testing::gate g;  // not a future: another thread would take the place of one that waits
  const auto held = pool.submit(&plait::testing::gate::pass, g.name());
  g.wait_for_arrival();
  std::vector<plait::future<>> queued;
  for (int i = 0; i < 5; ++i) queued.push_back(pool.submit([] {}));
  const auto busy = pool.statistics();
  EXPECT_EQ(busy.workers, 1u);
  EXPECT_EQ(busy.idle, 0u);
  EXPECT_EQ(busy.queued, 5u);
  g.open();
  for (const auto& f : queued) f.get();
  EXPECT_EQ(pool.statistics().queued, 0u);
}

// Calls that a waiting call had run were not counted.
TEST(ThreadPool, CountsEachCallThatHasEndedOnce) {
  thread_pool_executor pool(3);
  pool.submit([&] {
        std::vector<plait::future<>> children;
        for (int i = 0; i < 400; ++i) children.push_back(pool.submit([] {}));  // deque and queue
        for (int i = 400; i-- != 0;) children[static_cast<std::size_t>(i)].get();
      })
      .get();
  while (pool.statistics().idle != pool.statistics().workers) std::this_thread::yield();
  EXPECT_EQ(pool.statistics().done, 401u);
}

TEST(ThreadPool, PoolsMayCallEachOther) {
  thread_pool_executor a(1), b(1);
  const auto f = a.submit([&] { return b.submit([] { return 3; }).get(); });
  EXPECT_EQ(f.get(), 3);
}

TEST(ThreadPool, MapMayGiveResultsInOrderOfCompletion) {
  thread_pool_executor pool(2);
  plait::promise<int> late;
  const auto f = [slow = late.get_future()](int n) { return n == 0 ? slow.get() : n; };
  std::vector<int> order;
  for (const int n : pool.map(f, std::vector{0, 1, 2, 3},
                              {.order = plait::map_options::result_order::completion})) {
    order.push_back(n);
    if (order.size() == 3) late.set_value(100);
  }
  ASSERT_EQ(order.size(), 4u);
  EXPECT_EQ(order.back(), 100);
  EXPECT_EQ(std::set<int>(order.begin(), order.end()), (std::set<int>{1, 2, 3, 100}));
}

TEST(ThreadPool, MapInOrderOfCompletionKeepsItsWindowAndGivesEverythingOnce) {
  thread_pool_executor pool(3);
  for (const std::size_t chunk : {1, 7}) {
    std::vector<int> items(1000), seen;
    for (int i = 0; i < 1000; ++i) items[static_cast<std::size_t>(i)] = i;
    for (const int n : pool.map([](int i) { return i; }, items,
                                {.chunksize = chunk,
                                .buffersize = 5,
                                .order = plait::map_options::result_order::completion}))
      seen.push_back(n);
    std::sort(seen.begin(), seen.end());
    EXPECT_EQ(seen, items);
  }
}

// The calls that wait are cancelled before the one that runs: its worker would begin the next.
TEST(ThreadPool, MapWithATimeoutThrowsAndCancelsWhatIsUnderWay) {
  for (const auto order :
       {plait::map_options::result_order::input, plait::map_options::result_order::completion}) {
    thread_pool_executor pool(1);
    std::atomic<int> begun{0};
    auto results = pool.map(
        [&begun](std::stop_token stop, int n) {
          ++begun;
          while (!stop.stop_requested()) std::this_thread::yield();
          return n;
        },
        std::vector{0, 1, 2}, {.order = order, .timeout = std::chrono::milliseconds(1)});
    EXPECT_THROW(results.begin(), plait::timeout_error);
    EXPECT_TRUE(results.begin() == results.end());
    pool.shutdown();
    EXPECT_LE(begun, 1);
  }
}

TEST(ThreadPool, DefaultPoolIsOneAndHasRoomForBlockingCalls) {
  auto& pool = plait::default_thread_pool();
  EXPECT_EQ(&pool, &plait::default_thread_pool());
  EXPECT_GE(pool.max_workers(), 5u);
  EXPECT_LE(pool.max_workers(), 32u);
  EXPECT_EQ(pool.submit([] { return 1; }).get(), 1);
}

// Invariant 8: idle is 0 % CPU.
TEST(Invariant8IdleCostsNothing, IdleWorkersSleepAndAreNotWoken) {
  thread_pool_executor pool({.max_workers = 3, .thread_name_prefix = "idler"});
  std::latch all(3);
  for (int i = 0; i < 3; ++i) pool.submit([&] { all.arrive_and_wait(); });
  all.wait();
  while (pool.statistics().idle != 3) std::this_thread::yield();
  const auto switches = [] {  // of each worker: how often the kernel has let it run
    std::map<std::string, std::string> result;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
      std::ifstream status(task.path() / "status");
      std::string line, name, state, counts;
      while (std::getline(status, line)) {
        if (line.starts_with("Name:")) name = line;
        if (line.starts_with("State:")) state = line;
        if (line.find("ctxt_switches") != std::string::npos) counts += line;
      }
      if (name.find("idler") != std::string::npos) result[task.path()] = state + counts;
    }
    return result;
  };
  const auto all_asleep = [](const auto& tasks) {
    for (const auto& [task, status] : tasks)
      if (status.find("S (sleeping)") == std::string::npos) return false;
    return tasks.size() == 3;
  };
  auto before = switches();
  while (!all_asleep(before)) before = switches();  // counted as idle a moment before they sleep
  const plait::promise<void> never;
  EXPECT_FALSE(never.get_future().wait_for(std::chrono::milliseconds(200)));  // a look at nothing
  EXPECT_EQ(switches(), before) << "a sleeping worker was woken although there was nothing to do";
}

}  // namespace

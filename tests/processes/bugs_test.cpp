// What went wrong in other pools and has no better place: see docs/process-pool-bugs.md.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "plait/processes.hpp"
#include "plait/testing/gate.hpp"

namespace {

using plait::process_pool_executor;

int twice(int n) { return 2 * n; }

// loky #663: callers waited for ever. Here the manager cannot even start: no descriptors are left.
TEST(Bugs, AManagerThatCannotGoOnFailsEveryFutureWithItsReason) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "UBSan looks at an object's type through a pipe, and there are no descriptors";
#endif
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  { process_pool_executor{1}.submit(twice, 1).get(); }  // what the first pool opens for good
  const int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
  close(next);
  rlimit tight = before;
  std::string why;
  for (int own = 3; why.empty() && own < 20;
       ++own) {  // just enough for the pool, none for a process
    tight.rlim_cur = static_cast<rlim_t>(next + own);
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &tight), 0);
    std::optional<process_pool_executor> pool;
    try {
      pool.emplace(1);
      pool->submit(twice, 1).get();
    } catch (const plait::broken_executor& e) {
      why = e.what();
    } catch (const std::system_error&) {  // not even for the pool
    }
    setrlimit(RLIMIT_NOFILE, &before);
  }
  EXPECT_NE(why.find("cannot go on"), std::string::npos) << why;
}

// gh-90622, gh-84559: measured in Python, 5 of 53 forked children hung on such a lock.
std::mutex held_by_a_thread_of_the_program;
TEST(Bugs, AWorkerInheritsNoLockOfAThreadThatItDoesNotHave) {
  const std::lock_guard hold(held_by_a_thread_of_the_program);
  process_pool_executor pool{{.max_workers = 2, .max_tasks_per_child = 1}};
  std::vector<plait::future<int>> calls;
  for (int i = 0; i < 20; ++i)
    calls.push_back(pool.submit(
        [](int n) {
          const std::lock_guard free_here(held_by_a_thread_of_the_program);
          return n;
        },
        i));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(calls[static_cast<std::size_t>(i)].get(), i);
}

// gh-105829: a wake-up pipe holds 65,536 bytes, and then submit hung under the pool's lock.
TEST(Bugs, MoreSubmitsThanAPipeHoldsDoNotBlock) {
  process_pool_executor pool{1};
  const plait::testing::gate gate;
  const auto held =
      pool.submit([](std::string name) { plait::testing::gate::pass(name); }, gate.name());
  gate.wait_for_arrival();
  std::vector<plait::future<int>> calls;
  for (int i = 0; i < 70'000; ++i) calls.push_back(pool.submit(twice, i));
  gate.open();
  held.get();
  int wrong = 0;
  for (int i = 0; i < 70'000; ++i) wrong += calls[static_cast<std::size_t>(i)].get() != 2 * i;
  EXPECT_EQ(wrong, 0);
}

// gh-119592, gh-152967: work was stranded when the pool object went before its calls.
TEST(Bugs, CallsOutliveThePoolThatACallbackShutsDown) {
  std::vector<plait::future<int>> calls;
  {
    process_pool_executor pool{{.max_workers = 2, .max_tasks_per_child = 2}};
    for (int i = 0; i < 40; ++i) calls.push_back(pool.submit(twice, i));
    calls[0].add_done_callback([&pool](const auto&) { pool.shutdown(); });  // does not wait there
  }
  for (int i = 0; i < 40; ++i) EXPECT_EQ(calls[static_cast<std::size_t>(i)].get(), 2 * i);
}

// gh-115634, gh-111498, gh-115831: hung when idle workers were counted wrongly.
TEST(Bugs, WorkersThatRetireWhileCallsComeAndGoAreReplaced) {
  for (const std::size_t tasks : {1u, 2u, 3u}) {
    process_pool_executor pool{{.max_workers = 3, .max_tasks_per_child = tasks}};
    for (int round = 0; round < 15; ++round) {  // idle, then more than there are workers, then one
      std::vector<plait::future<int>> calls;
      for (int i = 0; i < 1 + round % 7; ++i) calls.push_back(pool.submit(twice, i));
      for (int i = 0; i < 1 + round % 7; ++i)
        EXPECT_EQ(calls[static_cast<std::size_t>(i)].get(), 2 * i);
    }
  }
}

// pebble #153: the worker took the next call before the kill arrived, and nobody owned it.
TEST(Bugs, ACallBehindOneThatIsKilledIsNeverLost) {
  process_pool_executor pool{1};
  for (int i = 0; i < 40; ++i) {
    const plait::testing::gate gate;
    const auto slow = pool.submit(
        [](std::string name) -> int {
          plait::testing::gate::arrive(name);
          for (;;) pause();
        },
        gate.name());
    const auto next = pool.submit(twice, i);
    gate.wait_for_arrival();
    EXPECT_TRUE(pool.kill(slow));
    EXPECT_EQ(next.get(), 2 * i);
    EXPECT_THROW(slow.get(), plait::task_killed);
  }
}

}  // namespace

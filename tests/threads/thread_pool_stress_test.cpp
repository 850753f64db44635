// Calls from everywhere at once: none lost, none run twice, whatever is cancelled, stolen or
// helped.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "plait/testing/seed.hpp"
#include "plait/threads.hpp"

namespace {

using plait::thread_pool_executor;
using plait::testing::random_source;

struct tally {
  explicit tally(std::size_t n) : runs(new std::atomic<int>[n]()), size(n) {}
  std::unique_ptr<std::atomic<int>[]> runs;
  std::size_t size;
};

TEST(ThreadPoolStress, EveryCallRunsOnceOrIsCancelled) {
  constexpr std::size_t submitters = 3, calls = 4000;
  random_source random;
  thread_pool_executor pool(4);
  tally tallied(submitters * calls);
  std::vector<plait::future<std::size_t>> futures(tallied.size);
  std::vector<std::thread> team;
  for (std::size_t t = 0; t < submitters; ++t)
    team.emplace_back([&, t, mine = random.split()]() mutable {
      for (std::size_t i = t * calls; i < (t + 1) * calls; ++i) {
        futures[i] = pool.submit([&tallied, i] {
          tallied.runs[i].fetch_add(1);
          return i;
        });
        if (mine.one_in(4)) futures[t * calls + mine.below(i - t * calls + 1)].cancel();
        if (mine.one_in(50)) std::this_thread::yield();
      }
    });
  for (auto& t : team) t.join();
  for (std::size_t i = 0; i < futures.size(); ++i) {
    futures[i].wait();
    EXPECT_EQ(tallied.runs[i].load(), futures[i].cancelled() ? 0 : 1);
    EXPECT_TRUE(futures[i].cancelled() || futures[i].get() == i);
  }
}

// A tree of calls of random shape, whose nodes wait for their children in random order.
std::uint64_t grow(thread_pool_executor& pool, random_source random, int depth,
                   std::atomic<std::uint64_t>& ran) {
  ran.fetch_add(1);
  if (depth == 0) return 1;
  std::vector<plait::future<std::uint64_t>> children;
  for (auto n = random.below(4); n-- > 0;)
    children.push_back(pool.submit(grow, std::ref(pool), random.split(), depth - 1, std::ref(ran)));
  std::uint64_t nodes = 1;
  while (!children.empty()) {
    const auto at = children.begin() + static_cast<std::ptrdiff_t>(random.below(children.size()));
    nodes += at->get();
    children.erase(at);
  }
  return nodes;
}

TEST(ThreadPoolStress, RandomTreesOfCallsAreCountedExactly) {
  random_source random;
  for (const int workers : {1, 2, 4}) {
    thread_pool_executor pool(workers);
    for (int round = 0; round < 40; ++round) {
      std::atomic<std::uint64_t> ran{0};
      const auto nodes = pool.submit(grow, std::ref(pool), random.split(), 8, std::ref(ran)).get();
      EXPECT_EQ(nodes, ran.load());
    }
  }
}

// CPython issue 14406: all finish at once, while somebody begins to wait for all of them.
TEST(ThreadPoolStress, WaitForManyThatAreReleasedAtOnce) {
  plait::thread_pool_executor pool(4);
  for (int round = 0; round < 50; ++round) {
    plait::promise<void> go;
    std::vector<plait::future<>> calls;
    for (int i = 0; i < 100; ++i) calls.push_back(pool.submit([f = go.get_future()] { f.get(); }));
    go.set_value();
    EXPECT_EQ(plait::wait(calls).done, calls);
  }
}

TEST(ThreadPoolStress, ManyWaitersCallbacksAndCopiesOfTheSameFutures) {
  random_source random;
  thread_pool_executor pool(3);
  for (int round = 0; round < 300; ++round) {
    std::atomic<int> callbacks{0};
    std::vector<plait::future<int>> futures;
    for (int i = 0; i < 16; ++i) futures.push_back(pool.submit([i] { return i; }));
    std::vector<plait::future<int>> sums;
    for (int w = 0; w < 3; ++w)
      sums.push_back(pool.submit([futures, shuffled = random.split()]() mutable {
        int sum = 0;
        while (!futures.empty()) {
          const auto at =
              futures.begin() + static_cast<std::ptrdiff_t>(shuffled.below(futures.size()));
          sum += at->get();
          futures.erase(at);
        }
        return sum;
      }));
    for (const auto& f : futures)
      f.add_done_callback([&](const plait::future<int>&) { callbacks.fetch_add(1); });
    for (const auto& f : plait::as_completed(futures)) EXPECT_TRUE(f.done());
    for (const auto& s : sums) EXPECT_EQ(s.get(), 120);
    while (callbacks.load() != 16) std::this_thread::yield();
  }
}

TEST(ThreadPoolStress, RunningCallsHearAStopWheneverItComes) {
  random_source random;
  thread_pool_executor pool(3);
  for (int round = 0; round < 1000; ++round) {
    const auto f = pool.submit([](std::stop_token stop) {
      while (!stop.stop_requested()) std::this_thread::yield();
      return 1;
    });
    for (auto n = random.below(300); n-- > 0;) asm volatile("" ::: "memory");
    EXPECT_TRUE(f.cancel()) << "it is queued or it hears";
    f.wait();
    EXPECT_TRUE(f.cancelled() || f.get() == 1);
  }
}

}  // namespace

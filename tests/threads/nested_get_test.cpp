// Invariant 5: no silent deadlock. A call that waits for calls of its own pool has that work done,
// on a pool of one thread too, where most pools hang.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <numeric>
#include <vector>

#include "plait/threads.hpp"

namespace {

using plait::thread_pool_executor;

class Invariant5NoSilentDeadlock : public ::testing::TestWithParam<int> {
 protected:
  thread_pool_executor pool{GetParam()};
};

int fibonacci(thread_pool_executor& pool, int n) {
  if (n < 2) return n;
  const auto left = pool.submit(fibonacci, std::ref(pool), n - 1);
  const int right = fibonacci(pool, n - 2);
  return left.get() + right;
}

TEST_P(Invariant5NoSilentDeadlock, NestedGetHelpsInsteadOfDeadlocking) {
  const auto outer = pool.submit([this] { return pool.submit([] { return 42; }).get(); });
  EXPECT_EQ(outer.get(), 42);
}

TEST_P(Invariant5NoSilentDeadlock, ForkAndJoinGoesAsDeepAsItLikes) {
  EXPECT_EQ(pool.submit(fibonacci, std::ref(pool), 16).get(), 987);
}

TEST_P(Invariant5NoSilentDeadlock, NestedGetsInAnyOrderOfManyChildren) {
  const auto outer = pool.submit([this] {
    std::vector<plait::future<int>> children;
    for (int i = 0; i < 1000; ++i)  // more than one deque holds
      children.push_back(pool.submit([i] { return i; }));
    int sum = 0;
    for (std::size_t i = 0; i < children.size(); ++i)
      sum += children[(i * 7) % children.size()].get();
    return sum;
  });
  EXPECT_EQ(outer.get(), 999 * 1000 / 2);
}

TEST_P(Invariant5NoSilentDeadlock, NestedGetOfACallFromOutside) {
  std::vector<plait::future<int>> earlier;
  plait::promise<void> go;
  const auto held = pool.submit([f = go.get_future()] { f.get(); });
  const auto outer_needs = pool.submit([] { return 5; });
  const auto outer = pool.submit([outer_needs] { return outer_needs.get(); });
  go.set_value();
  EXPECT_EQ(outer.get(), 5);
  held.get();
}

TEST_P(Invariant5NoSilentDeadlock, NestedTimedWaitHelpsToo) {
  const auto outer = pool.submit([this] {
    const auto inner = pool.submit([] { return 1; });
    return inner.wait_for(std::chrono::hours(1)) ? inner.get() : 0;
  });
  EXPECT_EQ(outer.get(), 1);
}

TEST_P(Invariant5NoSilentDeadlock, NestedWaitAndAsCompletedHelpToo) {
  const auto outer = pool.submit([this] {
    std::vector<plait::future<int>> children;
    for (int i = 0; i < 20; ++i) children.push_back(pool.submit([i] { return i; }));
    int sum = 0;
    for (const auto& f : plait::as_completed(children)) sum += f.get();
    children.clear();
    for (int i = 0; i < 20; ++i) children.push_back(pool.submit([i] { return i; }));
    const auto result = plait::wait(children);
    return sum + static_cast<int>(result.done.size());
  });
  EXPECT_EQ(outer.get(), 190 + 20);
}

TEST_P(Invariant5NoSilentDeadlock, NestedMapHelpsToo) {
  const auto outer = pool.submit([this] {
    std::vector<int> items(100);
    std::iota(items.begin(), items.end(), 0);
    int sum = 0;
    for (const int n : pool.map([](int i) { return i; }, items)) sum += n;
    return sum;
  });
  EXPECT_EQ(outer.get(), 4950);
}

TEST_P(Invariant5NoSilentDeadlock, GetOfOnesOwnResultThrowsWouldDeadlock) {
  plait::promise<plait::future<int>> self;
  const auto f = pool.submit([own = self.get_future()] { return own.get().get(); });
  self.set_value(f);
  EXPECT_THROW(f.get(), plait::would_deadlock);
}

TEST_P(Invariant5NoSilentDeadlock, WaitForOnesOwnResultThrowsWouldDeadlock) {
  plait::promise<plait::future<int>> self;
  const auto f = pool.submit([own = self.get_future()] {
    const std::vector<plait::future<int>> only_me{own.get()};
    return static_cast<int>(plait::wait(only_me).done.size());
  });
  self.set_value(f);
  EXPECT_THROW(f.get(), plait::would_deadlock);
}

TEST_P(Invariant5NoSilentDeadlock, HelpingNeverRunsACallTwice) {
  std::atomic<int> runs{0};
  const auto outer = pool.submit([&] {
    std::vector<plait::future<>> children;
    for (int i = 0; i < 500; ++i) children.push_back(pool.submit([&] { ++runs; }));
    for (auto& c : children) c.get();
  });
  outer.get();
  EXPECT_EQ(runs, 500);
}

TEST_P(Invariant5NoSilentDeadlock, AHelpedCallsExceptionIsItsOwn) {
  const auto outer = pool.submit([this] {
    const auto inner = pool.submit([]() -> int { throw std::out_of_range("inner"); });
    try {
      return inner.get();
    } catch (const std::out_of_range&) {
      return -1;
    }
  });
  EXPECT_EQ(outer.get(), -1);
}

INSTANTIATE_TEST_SUITE_P(OnePoolOf, Invariant5NoSilentDeadlock, ::testing::Values(1, 2, 4),
                         ::testing::PrintToStringParamName());

}  // namespace

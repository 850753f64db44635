// What virtual time promises: it passes when nobody has anything to do, here or on other engines.
#include <gtest/gtest.h>

#include <latch>
#include <string>
#include <thread>
#include <vector>

#include "virtual_run.hpp"

using namespace std::chrono_literals;
using plait::task;

namespace {

// A call that takes real time, as a computation does.
int spin(int result) {
  const auto until = std::chrono::steady_clock::now() + 2ms;
  while (std::chrono::steady_clock::now() < until) {
  }
  return result;
}

// Ends when its thread has been waited for: without that, virtual time would pass the deadline.
TEST(VirtualTime, ATimeoutLeavesTheCallOfAnotherThreadItsTime) {
  virtual_run([]() -> task<> {
    const auto start = virtual_now();
    EXPECT_EQ(co_await plait::timeout(1ns, plait::to_thread(spin, 5)), 5);
    EXPECT_EQ(co_await plait::timeout(1h, plait::to_thread(spin, 6)), 6);
    EXPECT_EQ(virtual_now(), start);
  });
}

TEST(VirtualTime, StandsStillForEveryoneWhileACallRunsElsewhere) {
  plait::thread_pool_executor pool(2);
  virtual_run([&]() -> task<> {
    std::string order;
    const auto computes = [&]() -> task<> {
      for (int i = 0; i < 3; ++i) order += std::to_string(co_await pool.submit(spin, i));
    };
    const auto sleeps = [&]() -> task<> {
      co_await plait::sleep(1ns);
      order += " slept";
    };
    co_await plait::gather(sleeps(), computes());
    EXPECT_EQ(order, "012 slept");
  });
}

TEST(VirtualTime, PassesWhenTheCallWasCancelledBeforeItBegan) {
  plait::thread_pool_executor pool(1);
  std::latch release(1);
  auto blocker = pool.submit([&] { release.wait(); });
  virtual_run([&]() -> task<> {
    auto behind = pool.submit(spin, 1);
    auto waiting =
        plait::spawn([](plait::future<int> f) -> task<int> { co_return co_await f; }(behind));
    co_await let_others_run();
    behind.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(waiting));
    co_await plait::sleep(1h);
  });
  release.count_down();
}

TEST(VirtualTime, PassesForAPromiseWhichMayBeTheLoopsOwnToKeep) {
  virtual_run([]() -> task<> {
    plait::promise<int> promise;
    const auto keeps = [&]() -> task<> {
      co_await plait::sleep(1h);
      promise.set_value(3);
    };
    auto keeper = plait::spawn(keeps());
    EXPECT_EQ(co_await plait::timeout(2h, promise.get_future()), 3);
    co_await keeper;
  });
}

TEST(VirtualTime, WaitsForWhatFollowsFromACallElsewhere) {
  virtual_run([]() -> task<> {
    const auto start = virtual_now();
    auto doubled =
        plait::then(plait::to_thread(spin, 4), [](plait::future<int> f) { return 2 * f.get(); });
    EXPECT_EQ(co_await plait::timeout(1s, doubled), 8);
    EXPECT_EQ(virtual_now(), start);
  });
}

TEST(VirtualTime, PassesForWhatFollowsFromATaskOfTheLoop) {
  virtual_run([]() -> task<> {
    const auto sleeps = []() -> task<int> {
      co_await plait::sleep(1h);
      co_return 1;
    };
    const auto twice = [](plait::future<int> f) { return 2 * f.get(); };
    EXPECT_EQ(co_await plait::then(plait::spawn(sleeps()), twice), 2);
    EXPECT_EQ(co_await plait::then(plait::then(plait::spawn(sleeps()), twice), twice), 4);
    EXPECT_EQ(co_await plait::timeout(
                  1s, plait::then(plait::then(plait::to_thread(spin, 1), twice), twice)),
              4);
  });
}

TEST(VirtualTime, WhenAndWhenEachWaitForCallsElsewhere) {
  plait::thread_pool_executor pool(2);
  virtual_run([&]() -> task<> {
    const auto start = virtual_now();
    std::vector<plait::future<int>> calls;
    for (int i = 0; i < 6; ++i) calls.push_back(pool.submit(spin, i));
    auto [done, rest] = co_await plait::when(calls, {.timeout = 1s});
    EXPECT_EQ(done.size(), 6u);
    EXPECT_TRUE(rest.empty());
    calls.clear();
    for (int i = 0; i < 6; ++i) calls.push_back(pool.submit(spin, i));
    auto results = plait::when_each(calls, 1s);
    int sum = 0;
    while (auto f = co_await results.next()) sum += f->get();
    EXPECT_EQ(sum, 15);
    EXPECT_EQ(virtual_now(), start);
    co_await plait::sleep(1h);  // and nothing holds it any more
    plait::promise<int> never;
    std::vector<plait::future<int>> one{never.get_future()};
    EXPECT_TRUE((co_await plait::when(one, {.timeout = 1s})).done.empty());
    EXPECT_EQ(virtual_now(), start + 1h + 1s);
  });
}

TEST(VirtualTime, WaitsForTheTaskOfALoopThatRunsOnRealTime) {
  plait::event_loop other;
  std::thread thread([&] { other.run(); });
  virtual_run([&]() -> task<> {
    const auto there = [](int n) -> task<int> {
      co_await plait::sleep(1ms);
      co_return spin(n);
    };
    EXPECT_EQ(co_await plait::timeout(1us, other.submit(there, 7)), 7);
  });
  other.shutdown();
  thread.join();
}

// A call that waits for what the loop does later in virtual time.
TEST(VirtualTime, OtherEnginesNeedNotStopIt) {
  plait::testing::virtual_clock clock(plait::testing::other_engines::do_not_stop_it);
  std::latch release(1);
  const auto program = [&]() -> task<int> {
    auto blocked = plait::to_thread([&] {
      release.wait();
      return 9;
    });
    const auto opens = [&]() -> task<> {
      co_await plait::sleep(1h);
      release.count_down();
    };
    auto opener = plait::spawn(opens());
    const int result = co_await blocked;
    co_await opener;
    co_return result;
  };
  EXPECT_EQ(plait::run(program(), {.clock = &clock}), 9);
}

// The same order every time, whatever the threads do.
TEST(VirtualTime, IsTheSameInEveryRun) {
  plait::thread_pool_executor pool(2);
  for (int round = 0; round < 20; ++round) {
    virtual_run([&]() -> task<> {
      std::string order;
      const auto worker = [&](char name, plait::duration pause) -> task<> {
        for (int i = 0; i < 3; ++i) {
          co_await plait::sleep(pause);
          order += name + std::to_string(co_await pool.submit([i] { return i; }));
        }
      };
      co_await plait::gather(worker('a', 10ms), worker('b', 16ms), worker('c', 1h));
      EXPECT_EQ(order, "a0b0a1a2b1b2c0c1c2");
    });
  }
}

}  // namespace

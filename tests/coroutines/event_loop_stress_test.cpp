// Many threads against one loop: nothing posted is lost, and a loop may go as soon as it is done.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include "loop_thread.hpp"
#include "plait/testing/seed.hpp"
#include "virtual_run.hpp"

using namespace std::chrono_literals;

namespace {

// A thread that runs one function again and again, each time when the test says so.
class partner {
 public:
  explicit partner(std::function<void()> round)
      : round_(std::move(round)), thread_([this] { serve(); }) {}
  ~partner() {
    turn_.store(ending);
    turn_.notify_all();
    thread_.join();
  }
  void begin() {
    turn_.store(theirs);
    turn_.notify_all();
  }
  void finish() { turn_.wait(theirs); }

 private:
  enum turn : int { ours, theirs, ending };
  void serve() {
    for (;;) {
      turn_.wait(ours);
      if (turn_.load() == ending) return;
      round_();
      int expected = theirs;
      turn_.compare_exchange_strong(expected, ours);
      turn_.notify_all();
    }
  }
  std::function<void()> round_;
  std::atomic<int> turn_{ours};
  std::thread thread_;
};

TEST(EventLoopStress, AHundredThousandPostsFromEightThreadsAllArrive) {
  constexpr int threads = 8, each = 12'500;
  loop_thread loop;
  long sum = 0;  // the loop's thread alone touches it
  std::atomic<int> done{0};
  {
    std::vector<std::jthread> posters;
    for (int t = 0; t < threads; ++t)
      posters.emplace_back([&] {
        for (int i = 0; i < each; ++i) {
          if (i % 2 == 0) {
            loop->submit([&](int n) { sum += n; }, i);
          } else {
            auto f = loop->submit(
                [&](int n) -> plait::task<> {
                  if (n % 16 == 1) co_await plait::sleep(0s);
                  sum += n;
                },
                i);
            if (i % 64 == 1) f.add_done_callback([&](const plait::future<>&) { ++done; });
          }
        }
      });
  }
  loop.end();
  EXPECT_EQ(sum, long{threads} * each * (each - 1) / 2);
  EXPECT_EQ(done, threads * ((each + 62) / 64));
}

TEST(EventLoopStress, PostsRacingWithShutdownAreRunCancelledOrRefused) {
  using pending = plait::shutdown_options::pending_calls;
  for (int round = 0; round < 200; ++round) {
    loop_thread loop;
    std::atomic<int> posters_begun{0}, ran{0}, completed{0}, cancelled{0};
    const auto post = [&] {
      std::vector<plait::future<>> accepted;
      ++posters_begun;
      try {
        for (int i = 0; i < 1000; ++i) accepted.push_back(loop->submit([&] { ++ran; }));
      } catch (const plait::executor_shutdown&) {
      }
      for (auto& f : accepted) {
        f.wait();
        ++(f.cancelled() ? cancelled : completed);
      }
    };
    std::vector<std::jthread> posters;
    for (int t = 0; t < 3; ++t) posters.emplace_back(post);
    while (posters_begun < 3) std::this_thread::yield();
    loop.end({.pending = round % 2 == 0 ? pending::run : pending::cancel});
    posters.clear();
    EXPECT_EQ(completed, ran);
    if (round % 2 == 0) {
      EXPECT_EQ(cancelled, 0);
    }
  }
}

// The poster of the last job may still be on its way out of submit() when the loop is gone.
TEST(EventLoopStress, ALoopMayBeDestroyedRightAfterItsLastJob) {
  std::optional<plait::event_loop> loop;
  partner poster([&] { loop->submit([&] { loop->shutdown(); }); });
  for (int round = 0; round < 2000; ++round) {
    loop.emplace();
    poster.begin();
    loop->run();
    loop.reset();
    poster.finish();
  }
}

TEST(EventLoopStress, ALoopMayBeDestroyedRightAfterAFutureThatItAwaited) {
  std::optional<plait::promise<int>> promise;
  partner completer([&] { promise->set_value(7); });
  for (int round = 0; round < 2000; ++round) {
    promise.emplace();
    const auto wait = [](plait::future<int> f) -> plait::task<int> { co_return co_await f; };
    auto f = promise->get_future();
    completer.begin();
    EXPECT_EQ(plait::run(wait(std::move(f))), 7);
    completer.finish();
  }
}

// The canceller finds the task running, and the loop is gone before it has said so.
TEST(EventLoopStress, ATaskMayBeCancelledWhileItsLoopEnds) {
  plait::future<int> shared;
  std::atomic<bool> waiting{false}, ending{false};
  partner canceller([&] {
    waiting = true;
    while (!ending) std::this_thread::yield();
    shared.cancel();
  });
  for (int round = 0; round < 2000; ++round) {
    std::optional<plait::event_loop> loop(std::in_place);
    waiting = ending = false;
    shared = loop->submit([&]() -> plait::task<int> {
      co_await plait::sleep(0s);
      ending = true;
      if (round % 3 == 0) co_await plait::sleep(0s);
      co_return 1;
    });
    loop->shutdown();
    canceller.begin();
    while (!waiting) std::this_thread::yield();
    loop->run();
    loop.reset();
    canceller.finish();
    ASSERT_TRUE(shared.done());
  }
}

TEST(EventLoopStress, AFutureMayBeWaitedForWhileItsLoopEnds) {
  plait::future<int> shared;
  std::atomic<bool> waiting{false}, ending{false};
  partner waiter([&] {
    waiting = true;
    while (!ending) std::this_thread::yield();
    EXPECT_EQ(shared.get(), 1);
  });
  for (int round = 0; round < 2000; ++round) {
    std::optional<plait::event_loop> loop(std::in_place);
    waiting = ending = false;
    shared = loop->submit([&] {
      ending = true;
      return 1;
    });
    loop->shutdown();
    waiter.begin();
    while (!waiting) std::this_thread::yield();
    loop->run();
    loop.reset();
    waiter.finish();
  }
}

TEST(EventLoopStress, TasksCancelledFromManyThreadsAllEnd) {
  loop_thread loop;
  plait::testing::random_source seeds;
  std::vector<std::jthread> threads;
  std::atomic<int> ended{0};
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, random = seeds.split()]() mutable {
      for (int i = 0; i < 2000; ++i) {
        auto f = loop->submit(
            [](std::uint64_t us) -> plait::task<> {
              co_await plait::sleep(std::chrono::microseconds(us));
            },
            random.below(200));
        if (!random.one_in(3)) f.cancel();
        if (random.one_in(4)) f.cancel();
        f.wait();
        ++ended;
      }
    });
  threads.clear();
  EXPECT_EQ(ended, 8000);
}

TEST(EventLoopStress, TwoLoopsPassWorkBackAndForth) {
  loop_thread a, b;
  const auto there = [&](int n) -> plait::task<int> {
    co_return co_await a->submit([](int m) { return m + 1; }, n);
  };
  const auto rounds = [&]() -> plait::task<int> {
    int n = 0;
    for (int i = 0; i < 2000; ++i) n = co_await b->submit(there, n);
    co_return n;
  };
  auto first = a->submit(rounds);
  auto second = a->submit(rounds);
  EXPECT_EQ(first.get(), 2000);
  EXPECT_EQ(second.get(), 2000);
}

}  // namespace

// Many loops: a task stays at home, whoever else works for it; stops, exceptions and shutdown cross
// from loop to loop.
#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <latch>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "plait/coroutines.hpp"
#include "plait/testing/seed.hpp"
#include "plait/threads/cpu_count.hpp"

using namespace std::chrono_literals;
using plait::event_loop_group;
using plait::shutdown_options;

namespace {

constexpr shutdown_options cancel_pending{.pending = shutdown_options::pending_calls::cancel};

std::thread::id here() { return std::this_thread::get_id(); }
plait::task<std::thread::id> where() { co_return here(); }
plait::task<> forever() { co_await plait::sleep(1h); }

template <class Error>
plait::task<bool> ends_with(plait::future<> f) {
  try {
    co_await f;
  } catch (const Error&) {
    co_return true;
  }
  co_return false;
}

TEST(EventLoopGroup, HasALoopForEachCpuThatWeMayUse) {
  event_loop_group group;
  EXPECT_EQ(group.size(), plait::usable_cpu_count());
}

TEST(EventLoopGroup, DealsWorkOutInTurns) {
  event_loop_group group({.loops = 3});
  std::vector<std::thread::id> ran;
  for (int i = 0; i < 6; ++i) ran.push_back(group.submit(where).get());
  EXPECT_EQ(std::set(ran.begin(), ran.end()).size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(ran[i], ran[i + 3]);
  EXPECT_EQ(group.submit(here).get(), ran[0]) << "a plain function takes its turn too";
  EXPECT_EQ(group.spawn(where()).get(), ran[1]);
  EXPECT_EQ(group.with({.name = "named"}).submit(here).get(), ran[2]);
  EXPECT_EQ(group.with({.name = "named"}).submit(where).get(), ran[0]);
  EXPECT_EQ(&group.next_loop(), &group.loop(1));
}

TEST(EventLoopGroup, MapUsesEveryLoop) {
  event_loop_group group({.loops = 2});
  std::vector<int> items(100);
  std::set<std::thread::id> threads;
  for (const auto id : group.map([](int) { return here(); }, items)) threads.insert(id);
  EXPECT_EQ(threads.size(), 2u);
}

TEST(EventLoopGroup, ATaskAndWhatItSpawnsStayOnTheirLoop) {
  event_loop_group group({.loops = 3});
  const auto body = []() -> plait::task<bool> {
    const auto home = here();
    bool at_home = true;
    for (int i = 0; i < 10; ++i) {
      co_await plait::sleep(10us);
      at_home = at_home && here() == home && co_await plait::spawn(where()) == home;
    }
    co_return at_home;
  };
  std::vector<plait::future<bool>> all;
  for (int i = 0; i < 9; ++i) all.push_back(group.submit(body));
  for (auto& f : all) EXPECT_TRUE(f.get());
}

TEST(EventLoopGroup, SpawnsOnEachLoop) {
  event_loop_group group({.loops = 4});
  std::vector<std::thread::id> homes;
  for (std::size_t i = 0; i < group.size(); ++i) homes.push_back(group.loop(i).submit(here).get());
  EXPECT_EQ(std::set(homes.begin(), homes.end()).size(), 4u);

  auto coroutines = group.spawn_on_each(where);
  auto functions = group.spawn_on_each([own = std::make_shared<int>(0)] { return here(); });
  auto indices =
      group.spawn_on_each([](std::size_t index) -> plait::task<std::size_t> { co_return index; });
  auto stoppable = group.spawn_on_each(
      [](std::stop_token token, std::size_t index) { return token.stop_possible() ? index : 99; });
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(coroutines[i].get(), homes[i]);
    EXPECT_EQ(functions[i].get(), homes[i]);
    EXPECT_EQ(indices[i].get(), i);
    EXPECT_EQ(stoppable[i].get(), i);
  }
}

TEST(EventLoopGroup, ItsThreadsHaveNames) {
  event_loop_group group({.loops = 2, .thread_name_prefix = "a-name-that-is-long"});
  const auto name = [] {
    char text[16];
    pthread_getname_np(pthread_self(), text, sizeof text);
    return std::string(text);
  };
  EXPECT_EQ(group.loop(0).submit(name).get(), "a-name-that-i-0");
  EXPECT_EQ(group.loop(1).submit(name).get(), "a-name-that-i-1");
}

// ---- across loops

TEST(EventLoopGroup, WhoAwaitsAnotherLoopsTaskGoesOnAtHome) {
  event_loop_group group({.loops = 2});
  plait::run([](event_loop_group& g) -> plait::task<> {
    const auto home = here();
    for (int i = 0; i < 200; ++i) {
      EXPECT_NE(co_await g.submit(where), home);
      EXPECT_EQ(here(), home);
    }
  }(group));
  const auto ask_the_other = [](event_loop_group& g) -> plait::task<int> {
    const auto home = here();
    int elsewhere = 0;
    for (int i = 0; i < 200; ++i) {
      elsewhere += co_await g.loop(1).submit(where) != home;
      if (here() != home) co_return -1;
    }
    co_return elsewhere;
  };
  EXPECT_EQ(group.loop(0).submit(ask_the_other, std::ref(group)).get(), 200);
}

TEST(EventLoopGroup, AnExceptionCrossesLoops) {
  event_loop_group group({.loops = 2});
  const auto fails = []() -> plait::task<> {
    co_await plait::sleep(1us);
    throw std::runtime_error("from afar");
  };
  const auto ask = [&]() { return ends_with<std::runtime_error>(group.loop(1).submit(fails)); };
  EXPECT_TRUE(group.loop(0).submit(ask).get());
}

TEST(EventLoopGroup, AStopCrossesToALoopThatHasNotBegunTheTask) {
  event_loop_group group({.loops = 2});
  std::latch open{1};
  auto held = group.loop(1).submit([&] { open.wait(); });
  std::atomic<bool> ran{false};
  const auto ask = [&]() -> plait::task<bool> {
    auto f = group.loop(1).submit([&]() -> plait::task<> {
      ran = true;
      co_return;
    });
    f.cancel();
    co_return co_await ends_with<plait::cancelled_error>(f);
  };
  EXPECT_TRUE(group.loop(0).submit(ask).get()) << "at once, while the other loop is busy";
  open.count_down();
  held.get();
  group.shutdown();
  EXPECT_FALSE(ran);
}

TEST(EventLoopGroup, AStopCrossesToATaskThatWaitsAndIsWaitedFor) {
  event_loop_group group({.loops = 2});
  std::atomic<bool> let_go{false};
  std::latch waiting{1};
  const auto remote = [&]() -> plait::task<> {
    waiting.count_down();
    try {
      co_await plait::sleep(1h);
    } catch (const plait::cancelled_error&) {
      let_go = true;
      throw;
    }
  };
  const auto local = [&]() -> plait::task<> { co_await group.loop(1).submit(remote); };
  auto f = group.loop(0).submit(local);
  waiting.wait();
  f.cancel();
  EXPECT_THROW(f.get(), plait::cancelled_error);
  EXPECT_TRUE(let_go);
}

TEST(EventLoopGroup, ATimeoutStopsATaskOfAnotherLoop) {
  event_loop_group group({.loops = 2});
  const auto local = [&]() -> plait::task<bool> {
    try {
      co_await plait::timeout(1ms, group.loop(1).submit(forever));
    } catch (const plait::timeout_error&) {
      co_return true;
    }
    co_return false;
  };
  EXPECT_TRUE(group.loop(0).submit(local).get());
}

TEST(EventLoopGroup, AStopOfADoneTaskOfAnotherLoopIsRefused) {
  event_loop_group group({.loops = 2});
  const auto local = [&]() -> plait::task<bool> {
    auto f = group.loop(1).submit(where);
    co_await f;
    co_return f.cancel();
  };
  EXPECT_FALSE(group.loop(0).submit(local).get());
}

// Whenever the stop comes, the task has a result or is cancelled, and counts itself out.
TEST(EventLoopGroup, StopsThatRaceWithTheEndOfATaskOfAnotherLoop) {
  event_loop_group group({.loops = 2});
  std::atomic<int> inside{0};
  const auto remote = [&inside](int steps) -> plait::task<int> {
    struct counted {
      std::atomic<int>& n;
      explicit counted(std::atomic<int>& c) : n(c) { ++n; }
      ~counted() { --n; }
    } const here{inside};
    for (int i = 0; i < steps; ++i) co_await plait::sleep(0s);
    co_return steps;
  };
  const auto local = [&](std::uint64_t seed) -> plait::task<int> {
    plait::testing::random_source random(seed);
    int settled = 0;
    for (int i = 0; i < 2'000; ++i) {
      const int steps = static_cast<int>(random.below(4));
      auto f = group.submit(remote, steps);
      for (std::uint64_t n = random.below(4); n > 0; --n) co_await plait::sleep(0s);
      f.cancel();
      try {
        settled += co_await f == steps;
      } catch (const plait::cancelled_error&) {
        ++settled;
      }
    }
    co_return settled;
  };
  plait::testing::random_source seeds;
  auto first = group.loop(0).submit(local, seeds.next());
  auto second = group.loop(1).submit(local, seeds.next());
  EXPECT_EQ(first.get(), 2'000);
  EXPECT_EQ(second.get(), 2'000);
  group.shutdown();
  EXPECT_EQ(inside, 0);
}

// ---- the end

TEST(EventLoopGroup, ShutdownRunsEveryLoopOutOfTasks) {
  event_loop_group group({.loops = 3});
  std::atomic<int> done{0};
  for (int i = 0; i < 30; ++i)
    group.submit([&]() -> plait::task<> {
      co_await plait::sleep(1ms);
      ++done;
    });
  group.shutdown();
  EXPECT_EQ(done, 30);
  EXPECT_THROW(group.submit(where), plait::executor_shutdown);
  EXPECT_THROW(group.submit(here), plait::executor_shutdown);
  EXPECT_THROW(group.with({}).submit(here), plait::executor_shutdown);
  EXPECT_THROW(group.spawn_on_each(where), plait::executor_shutdown);
  group.shutdown();
}

TEST(EventLoopGroup, ShutdownWithCancelStopsTheTasksOfEveryLoop) {
  event_loop_group group({.loops = 3});
  auto tasks = group.spawn_on_each(forever);
  group.shutdown(cancel_pending);
  for (auto& f : tasks) EXPECT_TRUE(f.cancelled());
}

TEST(EventLoopGroup, ItsEndStopsItsTasks) {
  std::vector<plait::future<>> tasks;
  {
    event_loop_group group({.loops = 3});
    tasks = group.spawn_on_each(forever);
  }
  for (auto& f : tasks) EXPECT_TRUE(f.cancelled());
}

// While one task lives, it may submit; what it submits stays on its loop, since others may be gone.
TEST(EventLoopGroup, WhatTasksSubmitDuringShutdownIsRun) {
  event_loop_group group({.loops = 3});
  std::latch begun{1}, closed{1};
  auto f = group.loop(1).submit([&]() -> plait::task<int> {
    begun.count_down();
    closed.wait();
    int at_home = 0;
    for (int i = 0; i < 10; ++i) {
      at_home += co_await group.submit(where) == here();
      at_home += co_await group.with({}).submit(here) == here();
    }
    co_return at_home;
  });
  begun.wait();
  std::thread closer([&] { group.shutdown(); });
  while (true) {
    try {
      group.submit(where);  // not awaited: the loop whose turn it is may be the one that is held
      std::this_thread::yield();
    } catch (const plait::executor_shutdown&) {
      break;
    }
  }
  closed.count_down();
  closer.join();
  EXPECT_EQ(f.get(), 20);
}

TEST(EventLoopGroup, SubmitsThatRaceWithShutdownAreRunOrRefused) {
  for (int round = 0; round < 30; ++round) {
    std::optional<event_loop_group> group(plait::event_loop_group_options{.loops = 2});
    std::atomic<int> accepted{0}, ran{0};
    const auto submit_some = [&] {
      try {
        for (;;) {
          group->submit([&]() -> plait::task<> {
            ++ran;
            co_return;
          });
          ++accepted;
        }
      } catch (const plait::executor_shutdown&) {
      }
    };
    std::thread a(submit_some), b(submit_some);
    while (ran < 20) std::this_thread::yield();
    group->shutdown();
    a.join();
    b.join();
    EXPECT_EQ(ran, accepted);
  }
}

TEST(EventLoopGroup, ShutdownInATaskWaitsForNothing) {
  event_loop_group group({.loops = 2});
  auto others = group.spawn_on_each(forever);
  group.submit([&] { group.shutdown(cancel_pending); }).get();
  for (auto& f : others) EXPECT_THROW(f.get(), plait::cancelled_error);
  group.shutdown();
}

TEST(EventLoopGroup, MayBeDestroyedByOneOfItsTasks) {
  auto group = std::make_unique<event_loop_group>(plait::event_loop_group_options{.loops = 2});
  auto others = group->spawn_on_each(forever);
  auto& loop = group->loop(0);
  auto f = loop.submit([own = std::move(group)]() mutable { own.reset(); });
  f.get();
  for (auto& other : others) EXPECT_THROW(other.get(), plait::cancelled_error);
}

}  // namespace

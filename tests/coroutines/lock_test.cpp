// What a lock promises: one inside, first come first served, never lost.
#include "plait/coroutines/lock.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <vector>

#include "virtual_run.hpp"

using namespace std::chrono_literals;

namespace {

TEST(Lock, LetsInOneAtATime) {
  virtual_run([]() -> plait::task<> {
    plait::lock lock;
    int inside = 0, most = 0;
    const auto visitor = [&]() -> plait::task<> {
      const auto held = co_await lock.acquire();
      EXPECT_TRUE(lock.locked());
      most = std::max(most, ++inside);
      co_await plait::sleep(1s);
      --inside;
    };
    const auto before = virtual_now();
    std::vector<plait::task<>> visitors;
    for (int i = 0; i < 20; ++i) visitors.push_back(visitor());
    co_await plait::gather(std::move(visitors));
    EXPECT_EQ(most, 1);
    EXPECT_EQ(virtual_now() - before, 20s);
    EXPECT_FALSE(lock.locked());
  });
}

TEST(Lock, IsReleasedOnceOnEveryWayOut) {
  virtual_run([]() -> plait::task<> {
    plait::lock lock;
    {
      auto held = co_await lock.acquire();
      auto moved = std::move(held);
      EXPECT_FALSE(held);
      EXPECT_TRUE(moved);
      held.release();
      EXPECT_TRUE(lock.locked());
      moved.release();
      moved.release();
      EXPECT_FALSE(lock.locked());
      moved = co_await lock.acquire();
      EXPECT_TRUE(lock.locked());
    }
    EXPECT_FALSE(lock.locked());
    const auto failing = [&]() -> plait::task<> {
      const auto held = co_await lock.acquire();
      throw std::runtime_error("x");
    };
    EXPECT_TRUE(co_await throws<std::runtime_error>(failing()));
    EXPECT_FALSE(lock.locked());
  });
}

TEST(Lock, TryAcquireNeverWaitsNorOvertakes) {
  virtual_run([]() -> plait::task<> {
    plait::lock lock;
    auto held = lock.try_acquire();
    EXPECT_TRUE(held.has_value());
    EXPECT_FALSE(lock.try_acquire().has_value());
    bool served = false;
    auto f = plait::spawn([](plait::lock& l, bool& s) -> plait::task<> {
      const auto mine = co_await l.acquire();
      s = true;
    }(lock, served));
    co_await let_others_run();
    held.reset();
    EXPECT_FALSE(lock.try_acquire().has_value());  // handed over, though it has not run yet
    EXPECT_FALSE(served);
    co_await f;
    EXPECT_TRUE(served);
    EXPECT_TRUE(lock.try_acquire().has_value());
  });
}

// As with asyncio.Lock's fairness: who releases and asks again stands behind those who wait.
TEST(Lock, WhoReleasesAndAsksAgainStandsBehindTheOthers) {
  virtual_run([]() -> plait::task<> {
    plait::lock lock;
    std::vector<int> order;
    const auto visitor = [&](int number) -> plait::task<> {
      for (int i = 0; i < 3; ++i) {
        const auto held = co_await lock.acquire();
        order.push_back(number);
        co_await plait::sleep(0s);
      }
    };
    co_await plait::gather(visitor(1), visitor(2), visitor(3));
    EXPECT_EQ(order, (std::vector<int>{1, 2, 3, 1, 2, 3, 1, 2, 3}));
  });
}

TEST(Lock, TakingItTwiceIsAnErrorInsteadOfADeadlock) {
  virtual_run([]() -> plait::task<> {
    plait::lock lock;
    const auto deeper = [&]() -> plait::task<> { const auto again = co_await lock.acquire(); };
    {
      const auto held = co_await lock.acquire();
      EXPECT_TRUE(co_await throws<plait::would_deadlock>(lock.acquire()));
      EXPECT_TRUE(co_await throws<plait::would_deadlock>(deeper()));  // the same task, in line
      EXPECT_TRUE(lock.locked());
      auto other = plait::spawn(deeper());
      co_await let_others_run();
      EXPECT_FALSE(other.done());  // another task waits
      other.cancel();
      EXPECT_TRUE(co_await throws<plait::cancelled_error>(other));
    }
    EXPECT_FALSE(lock.locked());
    co_await deeper();
  });
}

TEST(Lock, ThatWasHandedToAnotherTaskIsWaitedFor) {
  virtual_run([]() -> plait::task<> {
    plait::lock lock;
    auto held = co_await lock.acquire();
    const auto keeper = [](plait::lock::holder mine) -> plait::task<> {
      co_await plait::sleep(1s);
      mine.release();
    };
    auto f = plait::spawn(keeper(std::move(held)));
    const auto before = virtual_now();
    const auto again = co_await lock.acquire();
    EXPECT_EQ(virtual_now() - before, 1s);
    co_await f;
  });
}

TEST(Lock, MayBeTakenWithinATimeout) {
  virtual_run([]() -> plait::task<> {
    plait::lock lock;
    for (int i = 0; i < 3; ++i) {
      const auto held = co_await plait::timeout(1s, lock.acquire());
      EXPECT_TRUE(co_await throws<plait::timeout_error>(plait::timeout(1s, lock.acquire())));
      EXPECT_TRUE(lock.locked());
    }
    EXPECT_FALSE(lock.locked());
  });
}

TEST(Lock, WhoStillWaitsWhenItGoesIsCancelled) {
  virtual_run([]() -> plait::task<> {
    auto lock = std::make_unique<plait::lock>();
    std::optional<plait::lock::holder> held = lock->try_acquire();
    const auto visitor = [&]() -> plait::task<> { const auto mine = co_await lock->acquire(); };
    auto a = plait::spawn(visitor());
    auto b = plait::spawn(visitor());
    co_await let_others_run();
    alignas(plait::lock::holder) std::byte never_released[sizeof(plait::lock::holder)];
    ::new (static_cast<void*>(never_released)) plait::lock::holder(*std::move(held));
    lock.reset();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(a));
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(b));
  });
}

// A visitor is stopped before it asks, while it waits, when the lock is on its way, and inside.
TEST(Lock, AStopInEveryStateLosesNothing) {
  virtual_run([]() -> plait::task<> {
    plait::lock lock;
    int entered = 0;
    const auto visitor = [&]() -> plait::task<> {
      const auto held = co_await lock.acquire();
      ++entered;
      co_await plait::sleep(1h);
    };
    const auto late = [&]() -> plait::task<> {  // stopped already when it asks
      co_await throws<plait::cancelled_error>(plait::sleep(1h));
      co_await visitor();
    };
    auto f = plait::spawn(visitor());  // not started
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    f = plait::spawn(late());
    co_await let_others_run();
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_EQ(entered, 0);
    EXPECT_FALSE(lock.locked());
    {  // waiting, as first, middle and last
      const auto held = co_await lock.acquire();
      std::vector<plait::future<>> waiting;
      for (int i = 0; i < 3; ++i) waiting.push_back(plait::spawn(visitor()));
      co_await let_others_run();
      for (const std::size_t i : {1u, 2u, 0u}) {
        waiting[i].cancel();
        EXPECT_TRUE(co_await throws<plait::cancelled_error>(waiting[i]));
      }
      EXPECT_EQ(entered, 0);
    }
    EXPECT_FALSE(lock.locked());
    {  // handed over: the stop is on its way when the lock is released, and arrives first
      auto held = co_await lock.acquire();
      f = plait::spawn(visitor());
      auto next = plait::spawn(visitor());
      co_await let_others_run();
      f.cancel();
      held.release();
      EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
      co_await let_others_run();
      EXPECT_EQ(entered, 2);  // it went on to the next
      next.cancel();
      EXPECT_TRUE(co_await throws<plait::cancelled_error>(next));
    }
    EXPECT_FALSE(lock.locked());
    f = plait::spawn(visitor());  // inside
    co_await let_others_run();
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_FALSE(lock.locked());
  });
}

}  // namespace

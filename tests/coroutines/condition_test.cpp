// What a condition promises: no notification lost, and the lock held again however a wait ends.
#include "plait/coroutines/condition.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <vector>

#include "virtual_run.hpp"

using namespace std::chrono_literals;

namespace {

// A lock, a condition, and tasks that wait on it and write down what they went through.
struct waiting_room {
  plait::lock lock;
  std::optional<plait::condition> changed{std::in_place};
  std::vector<int> woken;
  int threw_with_lock = 0;

  plait::task<> wait(int number) {
    auto held = co_await lock.acquire();
    try {
      co_await changed->wait(held);
    } catch (const plait::cancelled_error&) {
      threw_with_lock += static_cast<bool>(held) && lock.locked();
      throw;
    }
    EXPECT_TRUE(held);
    woken.push_back(number);
  }
  // The same, and holds the lock for an hour.
  plait::task<> wait_and_stay(int number) {
    auto held = co_await lock.acquire();
    co_await changed->wait(held);
    woken.push_back(number);
    co_await plait::sleep(1h);
  }
};

TEST(Condition, LetsTheLockGoWhileItWaitsAndHasItAgainAfter) {
  virtual_run([]() -> plait::task<> {
    waiting_room room;
    auto f = plait::spawn(room.wait(1));
    co_await let_others_run();
    EXPECT_FALSE(room.lock.locked());
    auto held = co_await room.lock.acquire();
    room.changed->notify();
    co_await let_others_run();
    EXPECT_TRUE(room.woken.empty());  // woken, but the lock is ours
    held.release();
    co_await f;
    EXPECT_EQ(room.woken, (std::vector<int>{1}));
    EXPECT_FALSE(room.lock.locked());
  });
}

TEST(Condition, NotifyWakesAsManyAsToldInTheOrderInWhichTheyCame) {
  virtual_run([]() -> plait::task<> {
    waiting_room room;
    std::vector<plait::future<>> waiting;
    for (int i = 0; i < 7; ++i) waiting.push_back(plait::spawn(room.wait(i)));
    co_await let_others_run();
    room.changed->notify();
    co_await let_others_run();
    EXPECT_EQ(room.woken, (std::vector<int>{0}));
    room.changed->notify(2);
    co_await let_others_run();
    EXPECT_EQ(room.woken, (std::vector<int>{0, 1, 2}));
    room.changed->notify(0);
    co_await let_others_run();
    EXPECT_EQ(room.woken.size(), 3u);
    room.changed->notify_all();
    for (auto& f : waiting) co_await f;
    EXPECT_EQ(room.woken, (std::vector<int>{0, 1, 2, 3, 4, 5, 6}));
    room.changed->notify(2048);  // nobody there: not remembered
    auto f = plait::spawn(room.wait(7));
    co_await let_others_run();
    EXPECT_FALSE(f.done());
    room.changed->notify();
    co_await f;
  });
}

TEST(Condition, WithAPredicateWaitsUntilItHolds) {
  virtual_run([]() -> plait::task<> {
    plait::lock lock;
    plait::condition changed;
    int value = 0, asked = 0;
    const auto waiter = [&]() -> plait::task<int> {
      auto held = co_await lock.acquire();
      co_await changed.wait(held, [&] {
        ++asked;
        EXPECT_TRUE(lock.locked());
        return value >= 3;
      });
      EXPECT_TRUE(held);
      co_return value;
    };
    auto f = plait::spawn(waiter());
    co_await let_others_run();
    for (value = 1; value < 3; ++value) {
      changed.notify();
      co_await let_others_run();
    }
    EXPECT_FALSE(f.done());
    changed.notify();
    EXPECT_EQ(co_await f, 3);
    EXPECT_EQ(asked, 4);
    EXPECT_EQ(co_await waiter(), 3);  // holds already: no wait
  });
}

TEST(Condition, WaitingWithoutTheLockIsAnError) {
  virtual_run([]() -> plait::task<> {
    plait::lock lock;
    plait::condition changed;
    auto held = co_await lock.acquire();
    held.release();
    EXPECT_TRUE(co_await throws<plait::invalid_state>(changed.wait(held)));
    co_await changed.wait(held, [] { return true; });
    EXPECT_TRUE(co_await throws<plait::invalid_state>(changed.wait(held, [] { return false; })));
    EXPECT_FALSE(lock.locked());
  });
}

TEST(Condition, TwoConditionsMayShareALock) {
  virtual_run([]() -> plait::task<> {
    plait::lock lock;
    plait::condition not_empty, not_full;
    std::vector<int> box, got;
    const auto producer = [&]() -> plait::task<> {
      for (int i = 0; i < 100; ++i) {
        auto held = co_await lock.acquire();
        co_await not_full.wait(held, [&] { return box.size() < 2; });
        box.push_back(i);
        not_empty.notify();
      }
    };
    const auto consumer = [&]() -> plait::task<> {
      for (int i = 0; i < 50; ++i) {
        auto held = co_await lock.acquire();
        co_await not_empty.wait(held, [&] { return !box.empty(); });
        got.push_back(box.front());
        box.erase(box.begin());
        not_full.notify();
      }
    };
    co_await plait::gather(producer(), consumer(), consumer());
    EXPECT_EQ(got.size(), 100u);
    for (int i = 0; i < 100; ++i) EXPECT_EQ(got[static_cast<std::size_t>(i)], i);
  });
}

TEST(Condition, AnEarlyTimeoutComesBackWithTheLock) {
  virtual_run([]() -> plait::task<> {
    plait::lock lock;
    plait::condition changed;
    auto held = co_await lock.acquire();
    EXPECT_TRUE(co_await throws<plait::timeout_error>(plait::timeout(1s, changed.wait(held))));
    EXPECT_TRUE(held);
    EXPECT_TRUE(lock.locked());
    changed.notify();  // for nobody
  });
}

TEST(Condition, WhoStillWaitsWhenItGoesIsCancelledWithTheLock) {
  virtual_run([]() -> plait::task<> {
    waiting_room room;
    auto a = plait::spawn(room.wait(1));
    auto b = plait::spawn(room.wait(2));
    co_await let_others_run();
    auto held = co_await room.lock.acquire();
    room.changed.reset();
    co_await let_others_run();
    EXPECT_FALSE(a.done());
    held.release();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(a));
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(b));
    EXPECT_EQ(room.threw_with_lock, 2);
    EXPECT_FALSE(room.lock.locked());
  });
}

TEST(Condition, AStopBeforeTheWaitKeepsTheLock) {
  virtual_run([]() -> plait::task<> {
    waiting_room room;
    const auto late = [&]() -> plait::task<> {
      auto held = co_await room.lock.acquire();
      co_await throws<plait::cancelled_error>(plait::sleep(1h));
      const bool refused = co_await throws<plait::cancelled_error>(room.changed->wait(held));
      room.threw_with_lock += refused && held && room.lock.locked();
      co_await plait::sleep(1h);
    };
    auto f = plait::spawn(late());
    co_await let_others_run();
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_EQ(room.threw_with_lock, 1);
    EXPECT_FALSE(room.lock.locked());
  });
}

TEST(Condition, AStopWhileItWaitsThrowsOnceTheLockIsHeldAgain) {
  virtual_run([]() -> plait::task<> {
    waiting_room room;
    auto f = plait::spawn(room.wait(1));  // the lock is free
    co_await let_others_run();
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_EQ(room.threw_with_lock, 1);
    f = plait::spawn(room.wait(1));  // the lock is held, and somebody waits for it
    co_await let_others_run();
    auto held = co_await room.lock.acquire();
    auto other = plait::spawn(room.wait(2));
    co_await let_others_run();
    f.cancel();
    co_await let_others_run();
    EXPECT_FALSE(f.done());
    room.changed->notify();  // nobody is there any more to take it
    held.release();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_EQ(room.threw_with_lock, 2);
    EXPECT_FALSE(other.done());
    room.changed->notify();
    co_await other;
    EXPECT_FALSE(room.lock.locked());
  });
}

// bpo-32841, gh-112202: a stop during the second acquisition lost the lock, or the notification.
TEST(Condition, AStopAfterTheNotificationLosesNeitherItNorTheLock) {
  virtual_run([]() -> plait::task<> {
    waiting_room room;
    auto f = plait::spawn(room.wait_and_stay(1));
    auto next = plait::spawn(room.wait(2));
    co_await let_others_run();
    auto held = co_await room.lock.acquire();
    room.changed->notify();
    co_await let_others_run();
    f.cancel();  // while it stands in the lock's line
    co_await let_others_run();
    EXPECT_FALSE(f.done());
    held.release();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));  // by the await after the wait
    EXPECT_EQ(room.woken, (std::vector<int>{1}));
    EXPECT_FALSE(room.lock.locked());
    EXPECT_FALSE(next.done());

    f = plait::spawn(room.wait_and_stay(3));
    co_await let_others_run();
    f.cancel();  // on its way when the notification comes: that is first, and goes to `next`
    room.changed->notify(2);
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    co_await next;
    EXPECT_EQ(room.woken, (std::vector<int>{1, 2, 3}));
    EXPECT_FALSE(room.lock.locked());
  });
}

}  // namespace

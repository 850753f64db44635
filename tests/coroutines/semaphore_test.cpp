// What a semaphore promises: never more inside than permits, first come first served, none lost.
#include "plait/coroutines/semaphore.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>
#include <vector>

#include "plait/testing/seed.hpp"
#include "virtual_run.hpp"

using namespace std::chrono_literals;

namespace {

TEST(Semaphore, LetsInAsManyAsItHasPermits) {
  virtual_run([]() -> plait::task<> {
    plait::semaphore semaphore{5};
    int inside = 0, most = 0;
    const auto visitor = [&]() -> plait::task<> {
      const auto permit = co_await semaphore.acquire();
      most = std::max(most, ++inside);
      co_await plait::sleep(1s);
      --inside;
    };
    const auto before = virtual_now();
    std::vector<plait::task<>> visitors;
    for (int i = 0; i < 50; ++i) visitors.push_back(visitor());
    co_await plait::gather(std::move(visitors));
    EXPECT_EQ(most, 5);
    EXPECT_EQ(virtual_now() - before, 10s);
    EXPECT_EQ(semaphore.available(), 5u);
  });
}

TEST(Semaphore, ServesFirstComeFirst) {
  virtual_run([]() -> plait::task<> {
    plait::semaphore semaphore{1};
    std::vector<int> order;
    const auto visitor = [&](int number) -> plait::task<> {
      const auto permit = co_await semaphore.acquire();
      order.push_back(number);
      co_await plait::sleep(0s);
    };
    std::vector<plait::task<>> visitors;
    for (int i = 0; i < 100; ++i) visitors.push_back(visitor(i));
    co_await plait::gather(std::move(visitors));
    EXPECT_EQ(order.size(), 100u);
    EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  });
}

TEST(Semaphore, ANewcomerDoesNotOvertakeTheOneWhoWaits) {
  virtual_run([]() -> plait::task<> {
    plait::semaphore semaphore{1};
    std::optional<plait::semaphore::permit> held = co_await semaphore.acquire();
    bool waiter_served = false;
    const auto waiter = [&]() -> plait::task<> {
      const auto permit = co_await semaphore.acquire();
      waiter_served = true;
    };
    auto f = plait::spawn(waiter());
    co_await let_others_run();
    held.reset();
    EXPECT_EQ(semaphore.available(), 0u);  // handed over, not free
    const auto mine = co_await semaphore.acquire();
    EXPECT_TRUE(waiter_served);
    co_await f;
  });
}

TEST(Semaphore, PermitsAreReleasedOnceOnEveryWayOut) {
  virtual_run([]() -> plait::task<> {
    plait::semaphore semaphore{2};
    {
      auto a = co_await semaphore.acquire();
      auto b = std::move(a);
      b.release();
      b.release();
      EXPECT_EQ(semaphore.available(), 2u);
      b = co_await semaphore.acquire();
      b = co_await semaphore.acquire();  // the first goes back when the second is there
      EXPECT_EQ(semaphore.available(), 1u);
    }
    EXPECT_EQ(semaphore.available(), 2u);
    const auto failing = [&]() -> plait::task<> {
      const auto permit = co_await semaphore.acquire();
      throw std::runtime_error("x");
    };
    EXPECT_TRUE(co_await throws<std::runtime_error>(failing()));
    EXPECT_EQ(semaphore.available(), 2u);
  });
}

TEST(Semaphore, TryAcquireTakesAFreePermitAndNeverWaits) {
  virtual_run([]() -> plait::task<> {
    plait::semaphore semaphore{1};
    {
      auto permit = semaphore.try_acquire();
      EXPECT_TRUE(permit.has_value());
      EXPECT_FALSE(semaphore.try_acquire().has_value());
      auto f = plait::spawn([](plait::semaphore& s) -> plait::task<> {
        const auto mine = co_await s.acquire();
      }(semaphore));
      co_await let_others_run();
      permit.reset();
      EXPECT_FALSE(semaphore.try_acquire().has_value());  // handed over to the one who waits
      co_await f;
    }
    EXPECT_EQ(semaphore.available(), 1u);
  });
}

TEST(Semaphore, OfNoPermitsLetsNobodyIn) {
  virtual_run([]() -> plait::task<> {
    plait::semaphore semaphore{0};
    EXPECT_TRUE(co_await throws<plait::timeout_error>(plait::timeout(1h, semaphore.acquire())));
    EXPECT_EQ(semaphore.available(), 0u);
  });
}

TEST(Semaphore, WhoStillWaitsWhenItGoesIsCancelled) {
  virtual_run([]() -> plait::task<> {
    auto semaphore = std::make_unique<plait::semaphore>(0);
    const auto visitor = [&]() -> plait::task<> {
      const auto permit = co_await semaphore->acquire();
    };
    auto a = plait::spawn(visitor());
    auto b = plait::spawn(visitor());
    co_await let_others_run();
    semaphore.reset();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(a));
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(b));
  });
}

// A visitor is stopped before it asks, while it waits, when the permit is on its way, and inside.
TEST(Semaphore, AStopInEveryStateLosesNoPermit) {
  virtual_run([]() -> plait::task<> {
    plait::semaphore semaphore{1};
    bool inside = false, stopped_inside = false;
    const auto visitor = [&]() -> plait::task<> {
      const auto permit = co_await semaphore.acquire();
      inside = true;
      try {
        co_await plait::sleep(1h);
      } catch (const plait::cancelled_error&) {
        stopped_inside = true;
        throw;
      }
    };
    // Not started.
    auto f = plait::spawn(visitor());
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_EQ(semaphore.available(), 1u);
    EXPECT_FALSE(inside);
    // Started, stopped already when it asks.
    const auto late = [&]() -> plait::task<> {
      co_await throws<plait::cancelled_error>(plait::sleep(1h));
      co_await visitor();
    };
    f = plait::spawn(late());
    co_await let_others_run();
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_EQ(semaphore.available(), 1u);
    EXPECT_FALSE(inside);
    // Waiting, as first, middle and last.
    {
      auto held = co_await semaphore.acquire();
      std::vector<plait::future<>> waiting;
      for (int i = 0; i < 3; ++i) waiting.push_back(plait::spawn(visitor()));
      co_await let_others_run();
      for (const std::size_t i : {1u, 2u, 0u}) {
        waiting[i].cancel();
        EXPECT_TRUE(co_await throws<plait::cancelled_error>(waiting[i]));
      }
      EXPECT_FALSE(inside);
    }
    EXPECT_EQ(semaphore.available(), 1u);
    // Handed over: the stop is on its way when the permit is released, and arrives before it.
    {
      auto held = co_await semaphore.acquire();
      f = plait::spawn(visitor());
      co_await let_others_run();
      f.cancel();
      held.release();
      EXPECT_EQ(semaphore.available(), 0u);
      EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
      EXPECT_TRUE(inside);
      EXPECT_TRUE(stopped_inside);
    }
    EXPECT_EQ(semaphore.available(), 1u);
    // Inside.
    f = plait::spawn(visitor());
    co_await let_others_run();
    EXPECT_EQ(semaphore.available(), 0u);
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_EQ(semaphore.available(), 1u);
  });
}

TEST(Semaphore, AStoppedWaiterLeavesItsPlaceToTheNext) {
  virtual_run([]() -> plait::task<> {
    plait::semaphore semaphore{1};
    auto held = co_await semaphore.acquire();
    std::vector<int> served;
    const auto visitor = [&](int number) -> plait::task<> {
      const auto permit = co_await semaphore.acquire();
      served.push_back(number);
    };
    std::vector<plait::future<>> all;
    for (int i = 0; i < 4; ++i) all.push_back(plait::spawn(visitor(i)));
    co_await let_others_run();
    all[0].cancel();
    all[3].cancel();
    co_await let_others_run();
    all.push_back(plait::spawn(visitor(4)));  // behind a tail that has left
    co_await let_others_run();
    held.release();
    co_await let_others_run();
    EXPECT_EQ(served, (std::vector<int>{1, 2, 4}));
  });
}

// Taking each out of the line by walking the line would be five thousand million steps.
TEST(Semaphore, AHundredThousandWaitersMayBeStoppedAtOnceInAnyOrder) {
  virtual_run([]() -> plait::task<> {
    plait::testing::random_source random;
    plait::semaphore semaphore{1};
    auto held = semaphore.try_acquire();
    int inside = 0;
    const auto visitor = [&]() -> plait::task<> {
      const auto permit = co_await semaphore.acquire();
      ++inside;
    };
    std::vector<plait::future<>> waiting;
    for (int i = 0; i < 100'000; ++i) waiting.push_back(plait::spawn(visitor()));
    co_await let_others_run();
    auto survivor = plait::spawn(visitor());
    co_await let_others_run();
    for (std::size_t i = waiting.size() - 1; i > 0; --i)
      std::swap(waiting[i], waiting[static_cast<std::size_t>(random.below(i + 1))]);
    for (auto& f : waiting) f.cancel();
    int cancelled = 0;
    for (auto& f : waiting) cancelled += co_await throws<plait::cancelled_error>(f);
    EXPECT_EQ(cancelled, 100'000);
    EXPECT_EQ(inside, 0);
    held.reset();
    co_await survivor;
    EXPECT_EQ(inside, 1);
    EXPECT_EQ(semaphore.available(), 1u);
  });
}

}  // namespace

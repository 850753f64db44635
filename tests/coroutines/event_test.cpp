// What an event promises: set() resumes everyone who waits, in order, whatever happens after it.
#include "plait/coroutines/event.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "virtual_run.hpp"

using namespace std::chrono_literals;

namespace {

TEST(Event, ResumesEveryoneInTheOrderInWhichTheyCame) {
  virtual_run([]() -> plait::task<> {
    plait::event event;
    std::vector<int> order;
    const auto waiter = [&](int number) -> plait::task<> {
      co_await event.wait();
      order.push_back(number);
    };
    std::vector<plait::future<>> waiting;
    for (int i = 0; i < 4; ++i) waiting.push_back(plait::spawn(waiter(i)));
    co_await let_others_run();
    EXPECT_TRUE(order.empty());
    EXPECT_FALSE(event.is_set());
    event.set();
    EXPECT_TRUE(event.is_set());
    for (auto& f : waiting) co_await f;
    EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3}));
  });
}

TEST(Event, ThatIsSetIsNotWaitedForUntilItIsCleared) {
  virtual_run([]() -> plait::task<> {
    plait::event event;
    event.set();
    event.set();
    const auto before = virtual_now();
    co_await event.wait();
    co_await event.wait();
    EXPECT_EQ(virtual_now(), before);
    event.clear();
    EXPECT_FALSE(event.is_set());
    EXPECT_TRUE(co_await throws<plait::timeout_error>(plait::timeout(1s, event.wait())));
    event.set();
    co_await event.wait();
  });
}

TEST(Event, ClearedBeforeTheWokenRunHasWokenThemAllTheSame) {
  virtual_run([]() -> plait::task<> {
    plait::event event;
    int woken = 0;
    const auto waiter = [&]() -> plait::task<> {
      co_await event.wait();
      ++woken;
    };
    auto a = plait::spawn(waiter());
    auto b = plait::spawn(waiter());
    co_await let_others_run();
    event.set();
    event.clear();
    auto late = plait::spawn(waiter());
    co_await a;
    co_await b;
    co_await let_others_run();
    EXPECT_EQ(woken, 2);
    event.set();
    co_await late;
  });
}

TEST(Event, IsSetByAThreadThroughTheLoop) {
  virtual_run([]() -> plait::task<> {
    plait::event event;
    auto& loop = plait::event_loop::current();
    auto f = plait::to_thread([&] { loop.submit([&] { event.set(); }).get(); });
    co_await event.wait();
    co_await f;
  });
}

TEST(Event, WhoStillWaitsWhenItGoesIsCancelled) {
  virtual_run([]() -> plait::task<> {
    auto event = std::make_unique<plait::event>();
    const auto waiter = [&]() -> plait::task<> { co_await event->wait(); };
    auto a = plait::spawn(waiter());
    auto b = plait::spawn(waiter());
    co_await let_others_run();
    event.reset();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(a));
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(b));
    event = std::make_unique<plait::event>();  // who has been woken no longer needs it
    a = plait::spawn(waiter());
    co_await let_others_run();
    event->set();
    event.reset();
    co_await a;
  });
}

// A wait is stopped before it begins, while it waits, when it has been woken, and after.
TEST(Event, AStopInEveryStateIsHeardOrComesAfterTheWait) {
  virtual_run([]() -> plait::task<> {
    plait::event event;
    int woken = 0;
    const auto waiter = [&]() -> plait::task<> {
      co_await event.wait();
      ++woken;
      co_await plait::sleep(1h);
    };
    const auto late = [&]() -> plait::task<> {  // stopped already when it asks
      co_await throws<plait::cancelled_error>(plait::sleep(1h));
      co_await waiter();
    };
    auto f = plait::spawn(waiter());  // not started
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    f = plait::spawn(late());
    co_await let_others_run();
    event.set();
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_EQ(woken, 0);
    event.clear();
    f = plait::spawn(waiter());  // waiting, and another beside it
    auto other = plait::spawn(waiter());
    co_await let_others_run();
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    event.set();
    co_await let_others_run();
    EXPECT_EQ(woken, 1);
    other.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(other));
    event.clear();
    f = plait::spawn(waiter());  // woken, while the stop is on its way
    co_await let_others_run();
    f.cancel();
    event.set();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_EQ(woken, 2);
  });
}

}  // namespace

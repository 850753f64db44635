// What holds for everything that tasks wait for one another with.
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "plait/coroutines/context.hpp"
#include "virtual_run.hpp"

using namespace std::chrono_literals;

namespace {

// One of each kind, each so that a wait for it waits.
struct one_of_each {
  plait::lock lock;
  plait::semaphore semaphore{1};
  plait::event event;
  plait::condition condition;
  plait::barrier barrier{3};
  plait::queue<int> empty, full{1};
  plait::lock::holder held = *lock.try_acquire();
  plait::semaphore::permit permit = *semaphore.try_acquire();

  one_of_each() { full.put_nowait(1); }

  plait::task<> wait_for_lock() { const auto h = co_await lock.acquire(); }
  plait::task<> wait_for_permit() { const auto p = co_await semaphore.acquire(); }
  plait::task<> wait_for_event() { co_await event.wait(); }
  plait::task<> wait_for_condition() {
    plait::lock own;
    auto h = co_await own.acquire();
    co_await condition.wait(h);
  }
  plait::task<> wait_at_barrier() { co_await barrier.wait(); }
  plait::task<> wait_for_item() { co_await empty.get(); }
  plait::task<> wait_for_next() { co_await empty.next(); }
  plait::task<> wait_for_room() { co_await full.put(2); }
  plait::task<> wait_for_done() { co_await full.join(); }

  std::vector<plait::task<>> all_waits() {
    std::vector<plait::task<>> waits;
    waits.push_back(wait_for_lock());
    waits.push_back(wait_for_permit());
    waits.push_back(wait_for_event());
    waits.push_back(wait_for_condition());
    waits.push_back(wait_at_barrier());
    waits.push_back(wait_for_item());
    waits.push_back(wait_for_next());
    waits.push_back(wait_for_room());
    waits.push_back(wait_for_done());
    return waits;
  }
};

TEST(Synchronisation, EverythingMayBeMadeAndSetUpBeforeThereIsALoop) {
  one_of_each each;
  each.held.release();
  each.permit.release();
  each.event.set();
  each.empty.put_nowait(1);
  each.full.get_nowait();
  each.full.task_done();
  virtual_run([&]() -> plait::task<> {
    co_await each.wait_for_lock();
    co_await each.wait_for_permit();
    co_await each.wait_for_event();
    co_await plait::gather(each.wait_at_barrier(), each.wait_at_barrier(), each.wait_at_barrier());
    co_await each.wait_for_item();
    co_await each.wait_for_done();
    co_await each.wait_for_room();
  });
}

TEST(Synchronisation, EveryWaitIsBoundedByATimeoutAndLeavesItsLine) {
  virtual_run([]() -> plait::task<> {
    one_of_each each;
    for (auto& wait : each.all_waits())
      EXPECT_TRUE(co_await throws<plait::timeout_error>(plait::timeout(1s, std::move(wait))));
    EXPECT_EQ(each.barrier.waiting(), 0u);
    each.held.release();
    EXPECT_FALSE(each.lock.locked());
    each.permit.release();
    EXPECT_EQ(each.semaphore.available(), 1u);
    each.empty.put_nowait(1);
    EXPECT_EQ(each.empty.size(), 1u);
    EXPECT_EQ(each.full.get_nowait(), 1);
    EXPECT_TRUE(each.full.empty());
  });
}

// Level-triggered: once a task is asked to stop, no further wait is begun, not even one that would
// not have to wait.
TEST(Synchronisation, AStoppedTaskBeginsNoWait) {
  virtual_run([]() -> plait::task<> {
    one_of_each each, easy;
    easy.held.release();
    easy.permit.release();
    easy.event.set();
    easy.empty.put_nowait(1);
    plait::barrier alone{1};
    int refused = 0;
    const auto body = [&]() -> plait::task<> {
      co_await throws<plait::cancelled_error>(plait::sleep(1h));
      for (auto& wait : each.all_waits())
        refused += co_await throws<plait::cancelled_error>(std::move(wait));
      refused += co_await throws<plait::cancelled_error>(easy.wait_for_lock());
      refused += co_await throws<plait::cancelled_error>(easy.wait_for_permit());
      refused += co_await throws<plait::cancelled_error>(easy.wait_for_event());
      refused += co_await throws<plait::cancelled_error>(alone.wait());
      refused += co_await throws<plait::cancelled_error>(easy.wait_for_item());
      refused += co_await throws<plait::cancelled_error>(easy.wait_for_next());
      refused += co_await throws<plait::cancelled_error>(easy.empty.put(2));
      co_await plait::sleep(1h);
    };
    auto f = plait::event_loop::current().submit(body);
    co_await let_others_run();
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_EQ(refused, 9 + 7);
    EXPECT_FALSE(easy.lock.locked());
    EXPECT_EQ(easy.semaphore.available(), 1u);
    EXPECT_EQ(easy.empty.size(), 1u);
    EXPECT_EQ(each.barrier.waiting(), 0u);
  });
}

// Suspends once and tells what another flow waits for.
struct tell_what_waits {
  plait::detail::context* flow = nullptr;
  bool await_ready() const noexcept { return false; }
  template <plait::detail::flow_promise P>
  bool await_suspend(std::coroutine_handle<P> frame) noexcept {
    flow = frame.promise().flow;
    return false;
  }
  plait::detail::context* await_resume() const noexcept { return flow; }
};

TEST(Synchronisation, EveryWaitSaysWhatItWaitsFor) {
  virtual_run([]() -> plait::task<> {
    one_of_each each;
    std::vector<std::string> said;
    const std::vector<std::string> expected{
        "a lock",
        "a permit of a semaphore",
        "an event to be set",
        "a condition to be notified",
        "a barrier that 2 more must reach",
        "an item of an empty queue",
        "an item of an empty queue",
        "a place in a full queue",
        "the items of a queue to be done",
    };
    for (auto& wait : each.all_waits()) {
      plait::detail::context* flow = nullptr;
      const auto body = [&flow](plait::task<> waiting) -> plait::task<> {
        flow = co_await tell_what_waits();
        co_await std::move(waiting);
      };
      auto f = plait::event_loop::current().submit(body, std::move(wait));
      co_await let_others_run();
      said.push_back(flow->waiting()->waits_for());
      f.cancel();
      EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    }
    EXPECT_EQ(said, expected);
  });
}

}  // namespace

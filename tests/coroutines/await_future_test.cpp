// What awaiting a future promises: the result at home on the loop, and a stop that waits.
#include "plait/coroutines/await_future.hpp"

#include <gtest/gtest.h>

#include <latch>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "virtual_run.hpp"

using namespace std::chrono_literals;

namespace {

TEST(AwaitFuture, GivesThePoolsResultOnTheLoopsThread) {
  plait::thread_pool_executor pool(2);
  virtual_run([&]() -> plait::task<> {
    const auto home = std::this_thread::get_id();
    const auto there = co_await pool.submit([] { return std::this_thread::get_id(); });
    EXPECT_NE(there, home);
    EXPECT_EQ(std::this_thread::get_id(), home);
    auto text = co_await pool.submit([] { return std::make_unique<std::string>("moved"); });
    EXPECT_EQ(*text, "moved");
    co_await pool.submit([] {});
  });
}

TEST(AwaitFuture, ThrowsWhatTheCallThrew) {
  plait::thread_pool_executor pool(1);
  virtual_run([&]() -> plait::task<> {
    EXPECT_TRUE(co_await throws<std::out_of_range>(
        pool.submit([]() -> int { throw std::out_of_range("x"); })));
  });
}

TEST(AwaitFuture, OfADoneFutureDoesNotSuspend) {
  virtual_run([]() -> plait::task<> {
    plait::promise<int> promise;
    promise.set_value(6);
    auto f = promise.get_future();
    bool other_ran = false;
    auto other = plait::spawn([](bool& ran) -> plait::task<> {
      ran = true;
      co_return;
    }(other_ran));
    EXPECT_EQ(co_await f, 6);
    EXPECT_FALSE(other_ran);
    co_await other;
  });
}

TEST(AwaitFuture, OfAnEmptyFutureThrows) {
  virtual_run([]() -> plait::task<> {
    EXPECT_TRUE(co_await throws<plait::invalid_state>(plait::future<int>()));
  });
}

TEST(AwaitFuture, OfABrokenPromiseThrows) {
  virtual_run([]() -> plait::task<> {
    plait::future<int> f;
    const auto breaker = [&]() -> plait::task<> {
      plait::promise<int> promise;
      f = promise.get_future();
      co_await plait::sleep(1s);
    };
    auto breaking = plait::spawn(breaker());
    co_await let_others_run();
    EXPECT_TRUE(co_await throws<plait::broken_promise>(f));
  });
}

TEST(AwaitFuture, ManyTasksMayAwaitOneFuture) {
  plait::thread_pool_executor pool(1);
  virtual_run([&]() -> plait::task<> {
    std::latch begin(1);
    auto shared = pool.submit([&] {
      begin.wait();
      return std::string("one for all");
    });
    const auto reader = [&]() -> plait::task<bool> { co_return co_await shared == "one for all"; };
    std::vector<plait::task<bool>> readers;
    for (int i = 0; i < 100; ++i) readers.push_back(reader());
    auto f = plait::spawn([](auto tasks) -> plait::task<std::vector<bool>> {
      co_return co_await plait::gather(std::move(tasks));
    }(std::move(readers)));
    co_await let_others_run();
    begin.count_down();
    const auto right = co_await f;
    for (const bool r : right) EXPECT_TRUE(r);
  });
}

TEST(AwaitFuture, ACancelledFutureThrowsCancelledError) {
  virtual_run([]() -> plait::task<> {
    plait::promise<int> promise;
    auto f = promise.get_future();
    const auto canceller = [&]() -> plait::task<> {
      co_await plait::sleep(1s);
      EXPECT_TRUE(f.cancel());
    };
    auto [threw, done] = co_await plait::gather(throws<plait::cancelled_error>(f), canceller());
    static_cast<void>(done);
    EXPECT_TRUE(threw);
    co_await plait::sleep(1s);  // this task was not stopped: it goes on
  });
}

TEST(AwaitFuture, AStopCancelsACallThatHasNotBegun) {
  plait::thread_pool_executor pool(1);
  std::latch release(1);
  auto blocker = pool.submit([&] { release.wait(); });
  bool ran = false;
  virtual_run([&]() -> plait::task<> {
    const auto waiting = [&]() -> plait::task<> { co_await pool.submit([&] { ran = true; }); };
    auto f = plait::spawn(waiting());
    co_await let_others_run();
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
  });
  release.count_down();
  pool.shutdown();
  EXPECT_FALSE(ran);
}

TEST(AwaitFuture, AStopReachesARunningCallThroughItsToken) {
  plait::thread_pool_executor pool(1);
  virtual_run([&]() -> plait::task<> {
    plait::promise<void> began;
    std::latch stopped(1);
    const auto waiting = [&]() -> plait::task<std::string> {
      co_return co_await pool.submit([&](std::stop_token token) {
        const std::stop_callback wake(token, [&] { stopped.count_down(); });
        began.set_value();
        stopped.wait();
        return std::string("stopped in order");
      });
    };
    auto f = plait::spawn(waiting());
    co_await began.get_future();
    EXPECT_TRUE(f.cancel());
    EXPECT_EQ(co_await f, "stopped in order");  // a result that arrives all the same
  });
}

TEST(AwaitFuture, AStopWaitsForARunningCallThatCannotHear) {
  plait::thread_pool_executor pool(1);
  virtual_run([&]() -> plait::task<> {
    plait::promise<void> began;
    std::latch release(1);
    bool finished = false;
    const auto waiting = [&]() -> plait::task<> {
      std::string owned(1000, 'x');  // the call uses what the task owns
      co_await pool.submit([&] {
        began.set_value();
        release.wait();
        finished = owned.back() == 'x';
      });
      co_await plait::sleep(0s);
    };
    auto f = plait::spawn(waiting());
    co_await began.get_future();
    f.cancel();
    co_await let_others_run();
    EXPECT_FALSE(f.done());
    release.count_down();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_TRUE(finished);
  });
}

TEST(AwaitFuture, OfAnotherTaskPassesTheStopOn) {
  virtual_run([]() -> plait::task<> {
    bool let_go = false;
    const auto worker = [&]() -> plait::task<> {
      let_go = co_await throws<plait::cancelled_error>(plait::sleep(1h));
      co_await plait::sleep(1h);
    };
    auto inner = plait::spawn(worker());
    auto outer = plait::spawn([](plait::future<> f) -> plait::task<> { co_await f; }(inner));
    co_await let_others_run();
    outer.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(outer));
    EXPECT_TRUE(let_go);
    EXPECT_TRUE(inner.cancelled());
  });
}

TEST(AwaitFuture, OfATaskOnAnotherLoop) {
  plait::event_loop other;
  std::thread thread([&] { other.run(); });
  virtual_run([&]() -> plait::task<> {
    const auto there = [](int n) -> plait::task<std::pair<int, std::thread::id>> {
      co_await plait::sleep(0s);
      co_return std::pair(n * 2, std::this_thread::get_id());
    };
    const auto [doubled, id] = co_await other.submit(there, 21);
    EXPECT_EQ(doubled, 42);
    EXPECT_EQ(id, thread.get_id());
    auto endless =
        other.submit([]() -> plait::task<> { co_await plait::sleep(plait::duration::max()); });
    auto f = plait::spawn([](plait::future<> e) -> plait::task<> { co_await e; }(endless));
    co_await let_others_run();
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
  });
  other.shutdown();
  thread.join();
}

TEST(ToThread, RunsBesideTheLoop) {
  virtual_run([]() -> plait::task<> {
    std::latch release(1);
    const auto blocking = [&](std::string text) {
      release.wait();
      return text + " " + std::to_string(text.size());
    };
    auto f = plait::to_thread(blocking, "text");
    co_await let_others_run();  // the loop goes on while the call blocks
    EXPECT_FALSE(f.done());
    release.count_down();
    EXPECT_EQ(co_await f, "text 4");
  });
}

TEST(ToThread, ThrowsWhatTheCallThrew) {
  virtual_run([]() -> plait::task<> {
    EXPECT_TRUE(
        co_await throws<std::length_error>(plait::to_thread([] { throw std::length_error("x"); })));
  });
}

}  // namespace

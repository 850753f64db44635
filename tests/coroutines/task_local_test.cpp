// A task local is seen by its task and what that starts, and by nobody else.
#include "plait/coroutines/task_local.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "virtual_run.hpp"

using namespace std::chrono_literals;

namespace {

const plait::task_local<std::string> request_id{"none"};
const plait::task_local<int> depth;

plait::task<std::string> seen_later() {
  co_await plait::sleep(1s);
  co_return request_id.get();
}

TEST(TaskLocal, HasItsInitialValueUntilItIsBound) {
  EXPECT_EQ(request_id.get(), "none");
  EXPECT_EQ(depth.get(), 0);
  virtual_run([]() -> plait::task<> {
    EXPECT_EQ(request_id.get(), "none");
    co_return;
  });
}

TEST(TaskLocal, IsBoundUntilTheEndOfTheScope) {
  virtual_run([]() -> plait::task<> {
    {
      const auto outer = request_id.bind("outer");
      {
        const auto inner = request_id.bind("inner");
        const auto other = depth.bind(3);
        co_await plait::sleep(1s);
        EXPECT_EQ(request_id.get(), "inner");
        EXPECT_EQ(depth.get(), 3);
      }
      EXPECT_EQ(request_id.get(), "outer");
      EXPECT_EQ(depth.get(), 0);
    }
    EXPECT_EQ(request_id.get(), "none");
  });
}

TEST(TaskLocal, IsInheritedByWhatTheTaskStarts) {
  virtual_run([]() -> plait::task<> {
    plait::future<std::string> later;
    {
      const auto scope = request_id.bind("7f3a");
      later = plait::spawn(seen_later());
      auto [a, b] = co_await plait::gather(seen_later(), seen_later());
      EXPECT_EQ(a, "7f3a");
      EXPECT_EQ(b, "7f3a");
      EXPECT_EQ(co_await plait::timeout(1h, seen_later()), "7f3a");
      EXPECT_EQ(co_await plait::event_loop::current().submit(seen_later), "7f3a");
    }
    auto after = plait::spawn(seen_later());
    EXPECT_EQ(co_await later, "7f3a");  // it keeps what it began with
    EXPECT_EQ(co_await after, "none");
  });
}

TEST(TaskLocal, WhatAChildBindsItsParentAndSiblingsDoNotSee) {
  virtual_run([]() -> plait::task<> {
    const auto scope = request_id.bind("parent");
    const auto child = [](int i) -> plait::task<> {
      const auto own = request_id.bind(std::to_string(i));
      co_await plait::sleep((10 - i) * 1s);
      EXPECT_EQ(request_id.get(), std::to_string(i));
    };
    std::vector<plait::task<>> children;
    for (int i = 0; i < 10; ++i) children.push_back(child(i));
    co_await plait::gather(std::move(children));
    EXPECT_EQ(request_id.get(), "parent");
  });
}

TEST(TaskLocal, LivesBesideANameAndAStopToken) {
  virtual_run([]() -> plait::task<> {
    const auto scope = request_id.bind("kept");
    plait::current_task().set_name("both");
    EXPECT_EQ(request_id.get(), "kept");
    const auto token = co_await plait::current_stop_token();
    EXPECT_EQ(request_id.get(), "kept");
    EXPECT_EQ(co_await plait::spawn(seen_later(), {.name = "child"}), "kept");
    EXPECT_EQ(plait::current_task().name(), "both");
    static_cast<void>(token);
  });
}

TEST(TaskLocal, IsDestroyedOnTheLoopWithItsLastTask) {
  auto watched = std::make_shared<int>(1);
  plait::task_local<std::shared_ptr<int>> local;
  plait::future<> kept;
  virtual_run([&]() -> plait::task<> {
    const auto scope = local.bind(watched);
    EXPECT_EQ(watched.use_count(), 2);
    kept = plait::spawn(let_others_run());
    auto cancelled = plait::spawn(let_others_run());
    cancelled.cancel();
    co_await let_others_run();
    co_await kept;
  });
  EXPECT_EQ(watched.use_count(), 1);
  EXPECT_TRUE(kept.done());
}

TEST(TaskLocal, FromAnotherThreadATaskBeginsWithNone) {
  plait::thread_pool_executor pool;
  plait::run([](plait::thread_pool_executor& threads) -> plait::task<> {
    const auto scope = request_id.bind("here");
    auto& loop = plait::event_loop::current();
    auto name = co_await threads.submit([&loop] {
      const bool initial = request_id.get() == "none";
      return std::pair(initial, loop.submit(seen_later));
    });
    EXPECT_TRUE(name.first);
    EXPECT_EQ(co_await name.second, "none");
  }(pool));
}

TEST(TaskLocal, BindingOutsideTasksThrows) {
  EXPECT_THROW(static_cast<void>(request_id.bind("x")), plait::invalid_state);
}

}  // namespace

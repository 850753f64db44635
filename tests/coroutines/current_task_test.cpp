// What a task knows of itself: its name, where it was spawned, and the values of its task locals.
#include "plait/coroutines/current_task.hpp"

#include <gtest/gtest.h>

#include <string>

#include "plait/testing/unhandled_recorder.hpp"
#include "virtual_run.hpp"

using namespace std::chrono_literals;

namespace {

plait::task<std::string> own_name() {
  co_await plait::sleep(1s);
  co_return std::string(plait::current_task().name());
}

TEST(CurrentTask, HasTheNameItWasSpawnedWith) {
  virtual_run([]() -> plait::task<> {
    std::string name = "fetch ";
    name += "https://example.org/a-name-that-is-made-at-run-time";
    auto named = plait::spawn(own_name(), {.name = name});
    auto unnamed = plait::spawn(own_name());
    name.clear();
    EXPECT_EQ(co_await named, "fetch https://example.org/a-name-that-is-made-at-run-time");
    EXPECT_EQ(co_await unnamed, "");
    EXPECT_EQ(plait::current_task().name(), "");
  });
}

TEST(CurrentTask, SubmitWithANameNamesTheTask) {
  virtual_run([]() -> plait::task<> {
    auto& loop = plait::event_loop::current();
    EXPECT_EQ(co_await loop.with({.name = "listener"}).submit(own_name), "listener");
    EXPECT_EQ(co_await loop.with({.name = "call"}).submit([](int i) { return i + 1; }, 4), 5);
  });
}

TEST(CurrentTask, WhatRunsInsideItHasItsNameUnlessItHasItsOwn) {
  virtual_run([]() -> plait::task<> {
    const auto renamed = []() -> plait::task<std::string> {
      plait::current_task().set_name("inner");
      co_return co_await own_name();
    };
    const auto outer = [&]() -> plait::task<> {
      auto [a, b] = co_await plait::gather(own_name(), renamed());
      EXPECT_EQ(a, "outer");
      EXPECT_EQ(b, "inner");
      EXPECT_EQ(co_await plait::timeout(1h, own_name()), "outer");
      EXPECT_EQ(plait::current_task().name(), "outer");
    };
    co_await plait::spawn(outer(), {.name = "outer"});
  });
}

TEST(CurrentTask, KnowsWhereItWasSpawned) {
  virtual_run([]() -> plait::task<> {
    const auto where = []() -> plait::task<std::string> {
      co_return plait::current_task().spawned_at();
    };
    const auto spawned = co_await plait::spawn(where());
    EXPECT_NE(spawned.find("+0x"), std::string::npos) << spawned;
    auto [inside, again] = co_await plait::gather(where(), where());
    EXPECT_EQ(inside, plait::current_task().spawned_at());
    EXPECT_EQ(again, inside);
  });
}

TEST(CurrentTask, OutsideTasksThrows) {
  EXPECT_THROW(plait::current_task(), plait::invalid_state);
  plait::event_loop loop;
  bool threw = false;
  loop.submit([&] {
    try {
      plait::current_task();
    } catch (const plait::invalid_state&) {
      threw = true;
    }
  });
  loop.shutdown();
  loop.run();
  EXPECT_TRUE(threw);
}

TEST(CurrentTask, ACallbackThatHearsOfTheEndRunsInNoTask) {
  virtual_run([]() -> plait::task<> {
    bool threw = false;
    auto f = plait::spawn(own_name(), {.name = "ending"});
    f.add_done_callback([&](const plait::future<std::string>&) {
      try {
        plait::current_task();
      } catch (const plait::invalid_state&) {
        threw = true;
      }
    });
    co_await f;
    EXPECT_TRUE(threw);
  });
}

TEST(CurrentTask, ItsNameIsInTheReportOfAnExceptionThatNobodyRetrieved) {
  const plait::testing::unhandled_recorder recorder;
  virtual_run([]() -> plait::task<> {
    const auto fails = []() -> plait::task<> {
      throw std::runtime_error("unseen");
      co_return;
    };
    plait::spawn(fails(), {.name = "the failing one"});
    co_await let_others_run();
  });
  const auto heard = recorder.entries();
  EXPECT_EQ(heard.size(), 1u);
  if (!heard.empty()) {
    EXPECT_NE(heard[0].origin.find("the failing one"), std::string::npos);
  }
}

TEST(CurrentTask, KnowsThatItIsStopping) {
  virtual_run([]() -> plait::task<> {
    bool before = true, after = false;
    auto f = plait::event_loop::current().submit([&]() -> plait::task<> {
      before = plait::current_task().stopping();
      co_await throws<plait::cancelled_error>(plait::sleep(1h));
      after = plait::current_task().stopping();
    });
    co_await let_others_run();
    f.cancel();
    co_await f;
    EXPECT_FALSE(before);
    EXPECT_TRUE(after);
  });
}

}  // namespace

// Promises about tasks that block their loop: who hears of them, and that nobody else is named.
#include "plait/inspect/stall.hpp"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <utility>

#include "plait/coroutines.hpp"
#include "plait/testing/gate.hpp"

namespace {

using plait::testing::gate;

plait::promise<plait::stall_report>* heard = nullptr;  // of the test that runs
std::string wanted;  // part of a task's name; a machine under load may hold up any other

// Hears of one stall.
class Stall : public testing::Test {
 protected:
  Stall() {
    heard = &report_;
    wanted.clear();
    previous_ = plait::set_stall_handler([](const plait::stall_report& r) noexcept {
      if (heard != nullptr && r.task.find(wanted) != std::string::npos)
        std::exchange(heard, nullptr)->set_value(r);
    });
  }
  ~Stall() override { plait::set_stall_handler(previous_); }
  plait::promise<plait::stall_report> report_;
  plait::stall_handler previous_;
};

const plait::event_loop_options watched{.stall_after = std::chrono::milliseconds(5)};

plait::task<> block(std::string name) {
  gate::pass(name);
  co_return;
}
plait::task<> pause() { co_await plait::sleep(std::chrono::milliseconds(1)); }
plait::task<> yield_often() {
  for (int i = 0; i < 1000; ++i) co_await plait::sleep(plait::duration::zero());
}

class loop_thread {
 public:
  explicit loop_thread(plait::event_loop_options options)
      : loop_(options), thread_([this] { loop_.run(); }) {}
  ~loop_thread() {
    loop_.shutdown();
    thread_.join();
  }
  plait::event_loop* operator->() noexcept { return &loop_; }

 private:
  plait::event_loop loop_;
  std::thread thread_;
};

TEST_F(Stall, NamesTheTaskThatBlocksItsLoopWhileItDoes) {
  gate door;
  loop_thread loop(watched);
  auto blocked = loop->spawn(block(door.name()));
  const auto report = report_.get_future().get();  // the task is blocked until this has come
  EXPECT_NE(report.task.find("block("), std::string::npos) << report.task;
  EXPECT_NE(report.submitted.find("TestBody"), std::string::npos) << report.submitted;
  EXPECT_GE(report.running, watched.stall_after);
  EXPECT_GT(report.thread, 0);
  EXPECT_FALSE(blocked.done());
  door.open();
  blocked.get();
}

TEST_F(Stall, NamesAPlainCallToo) {
  gate door;
  loop_thread loop(watched);
  auto blocked = loop->submit(gate::pass, door.name());
  EXPECT_NE(report_.get_future().get().task.find("gate::pass"), std::string::npos);
  door.open();
  blocked.get();
}

TEST_F(Stall, NamesTheOuterTaskWhenAnInnerOneBlocks) {
  wanted = "NamesTheOuterTask";
  const auto outer = [](std::string name) -> plait::task<> {
    co_await plait::sleep(plait::duration::zero());
    co_await block(std::move(name));
  };
  gate door;
  loop_thread loop(watched);
  auto blocked = loop->submit(outer, door.name());
  EXPECT_NE(report_.get_future().get().task.find("NamesTheOuterTask"), std::string::npos);
  door.open();
  blocked.get();
}

TEST_F(Stall, IsNoticedAfterTheLoopHasSlept) {
  wanted = "block(";
  gate door;
  loop_thread loop(watched);
  for (int i = 0; i < 20; ++i)  // runs, and sleeps until the watcher sleeps too
    loop->spawn(pause()).get();
  auto blocked = loop->spawn(block(door.name()));
  EXPECT_NE(report_.get_future().get().task.find("block("), std::string::npos);
  door.open();
  blocked.get();
}

TEST_F(Stall, IsNotATaskThatLetsOthersRun) {
  {
    loop_thread loop({.stall_after = std::chrono::hours(1)});
    loop->spawn(yield_often()).get();
  }
  EXPECT_NE(heard, nullptr);
}

TEST_F(Stall, IsNotLookedForUnlessAsked) {
  gate door;
  {
    loop_thread loop({});
    auto blocked = loop->spawn(block(door.name()));
    door.wait_for_arrival();
    door.open();
    blocked.get();
  }
  EXPECT_NE(heard, nullptr);
}

TEST_F(Stall, OfOneLoopIsSeenWhileOthersComeAndGo) {
  wanted = "block(";
  gate door;
  loop_thread loop(watched);
  auto blocked = loop->spawn(block(door.name()));
  for (int i = 0; i < 20; ++i) plait::run(yield_often(), watched);
  EXPECT_NE(report_.get_future().get().task.find("block("), std::string::npos);
  door.open();
  blocked.get();
}

TEST(StallHandler, OfNullIsTheDefault) {
  const auto first = plait::set_stall_handler(nullptr);
  EXPECT_EQ(plait::set_stall_handler(first), first);
}

}  // namespace

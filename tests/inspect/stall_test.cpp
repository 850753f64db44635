// Promises about tasks that block their loop: who hears of them, and that nobody else is named.
#include "plait/inspect/stall.hpp"

#include <gtest/gtest.h>

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

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

std::size_t depth_of(const plait::stall_report& report, std::string_view function) {
  for (std::size_t i = 0; i < report.stack.size(); ++i)
    if (report.stack[i].function.find(function) != std::string::npos) return i;
  return static_cast<std::size_t>(-1);
}
std::string text_of(const std::vector<plait::stack_frame>& stack) {
  std::string text;
  for (const auto& f : stack) text += f.function + "\n";
  return text;
}

TEST_F(Stall, TellsWhereInTheTaskItBlocks) {
  wanted = "block(";
  gate door;
  loop_thread loop(watched);
  auto blocked = loop->spawn(block(door.name()));
  const auto report = report_.get_future().get();
  door.open();
  blocked.get();
  ASSERT_FALSE(report.stack.empty());
  EXPECT_LT(depth_of(report, "gate::pass"), depth_of(report, "block(")) << text_of(report.stack);
  EXPECT_EQ(depth_of(report, "block("), report.stack.size() - 1) << text_of(report.stack);
  EXPECT_NE(report.stack.back().file.find("inspect_stall_test"), std::string::npos);
  EXPECT_GT(report.stack.back().address, 0u);
}

std::atomic<bool> computed_enough = false;
std::atomic<int> rounds = 0;
[[gnu::noinline]] void compute() {
  while (!computed_enough) ++rounds;
}

TEST_F(Stall, TellsWhereInTheTaskItComputes) {
  wanted = "busy";
  computed_enough = false;
  loop_thread loop(watched);
  auto busy = loop->spawn([]() -> plait::task<> { co_return compute(); }(), {.name = "busy"});
  const auto report = report_.get_future().get();
  computed_enough = true;
  busy.get();
#if !defined(__SANITIZE_THREAD__)  // it delivers signals to who computes late
  EXPECT_NE(text_of(report.stack).find("compute()"), std::string::npos) << text_of(report.stack);
#endif
}

TEST_F(Stall, TakesNoSignalThatTheTaskBlocks) {
  gate door;
  loop_thread loop(watched);
  auto blocked = loop->submit([name = door.name()] {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    gate::pass(name);
    sigset_t pending;
    sigpending(&pending);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    bool any = false;
    for (int n = SIGRTMIN; n <= SIGRTMAX; ++n) any = any || sigismember(&pending, n) == 1;
    return any;
  });
  const auto report = report_.get_future().get();
  EXPECT_TRUE(report.stack.empty());
  door.open();
  EXPECT_FALSE(blocked.get());
}

bool any_real_time_signal_is_handled() {
  for (int n = SIGRTMIN; n <= SIGRTMAX; ++n) {
    struct sigaction now {};
    sigaction(n, nullptr, &now);
    if (now.sa_handler != SIG_DFL) return true;
  }
  return false;
}

// In a process of its own: the others of this one have watched loops.
TEST(StallSignal, IsTakenForAWatchedLoopOnly) {
  const auto program = [] {
    plait::run(yield_often());
    if (any_real_time_signal_is_handled()) _exit(1);
    plait::run(yield_often(), watched);
    _exit(any_real_time_signal_is_handled() ? 0 : 2);
  };
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_EXIT(program(), testing::ExitedWithCode(0), "");
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

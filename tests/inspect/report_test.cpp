// Promises about what a program tells of its loops, pools and workers while they run.
#include <gtest/gtest.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "plait/coroutines.hpp"
#include "plait/http.hpp"
#include "plait/inspect.hpp"
#include "plait/net.hpp"
#include "plait/processes.hpp"
#include "plait/testing/gate.hpp"
#include "plait/threads.hpp"

namespace {

using nlohmann::json;
using plait::testing::gate;

// A loop on a thread of its own, and what the report says of it.
class inspected_loop {
 public:
  inspected_loop() : thread_([this] { loop_.run(); }) {}
  ~inspected_loop() {
    loop_.shutdown({.pending = plait::shutdown_options::pending_calls::cancel});
    thread_.join();
  }
  plait::event_loop* operator->() noexcept { return &loop_; }
  // Once everything that can go on has gone on.
  json tell() {
    for (int i = 0; i < 10; ++i) loop_.submit([] {}).get();
    return tell_now();
  }
  static json tell_now() { return json::parse(plait::inspect::report()).at("loops").at(0); }

 private:
  plait::event_loop loop_;
  std::thread thread_;
};

const json& named(const json& loop, const std::string& name) {
  for (const auto& task : loop.at("tasks"))
    if (task.at("name").get<std::string>().find(name) != std::string::npos) return task;
  throw std::runtime_error("no task " + name + " in " + loop.dump(2));
}

std::vector<std::string> awaited_names(const json& loop, const json& task) {
  std::vector<std::string> names;
  for (const auto& i : task.at("awaits"))
    names.push_back(loop.at("tasks").at(i.get<std::size_t>()).at("name"));
  return names;
}

plait::task<> sleep_long() { co_await plait::sleep(std::chrono::hours(1)); }
plait::task<> middle() { co_await sleep_long(); }
plait::task<> outer() { co_await middle(); }
plait::task<> await_it(plait::future<void> f) { co_await f; }
plait::task<> gather_two() { co_await plait::gather(sleep_long(), outer()); }

TEST(Report, NamesATaskAndWhatItWaitsFor) {
  inspected_loop loop;
  auto sleeping = loop->spawn(sleep_long());
  const json task = named(loop.tell(), "sleep_long()");
  EXPECT_EQ(task.at("state"), "suspended");
  EXPECT_NE(task.at("waits_for").get<std::string>().find("sleep of 3600 s"), std::string::npos);
  EXPECT_NE(task.at("spawned").at("function").get<std::string>().find("TestBody"),
            std::string::npos);
  sleeping.cancel();
}

TEST(Report, NamesATaskAsTheUserDid) {
  inspected_loop loop;
  auto sleeping = loop->spawn(sleep_long(), {.name = "night watch"});
  const json task = named(loop.tell(), "night watch");
  EXPECT_NE(task.at("coroutines")[0].at("function").get<std::string>().find("sleep_long()"),
            std::string::npos);
  sleeping.cancel();
}

TEST(Report, TellsTheCoroutinesThatAwaitEachOtherOutermostFirst) {
  inspected_loop loop;
  auto running = loop->spawn(outer());
  const json task = named(loop.tell(), "outer()");
  ASSERT_EQ(task.at("coroutines").size(), 3U);
  const char* expected[] = {"outer()", "middle()", "sleep_long()"};
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_NE(task.at("coroutines")[i].at("function").get<std::string>().find(expected[i]),
              std::string::npos);
  running.cancel();
}

TEST(Report, LinksAGatherToItsChildren) {
  inspected_loop loop;
  auto running = loop->spawn(gather_two());
  const json all = loop.tell();
  EXPECT_EQ(all.at("tasks").size(), 3U);
  EXPECT_EQ(named(all, "gather_two()").at("waits_for"), "gather of 2");
  EXPECT_EQ(awaited_names(all, named(all, "gather_two()")).size(), 2U);
  running.cancel();
}

TEST(Report, LinksATaskToTheTaskWhoseFutureItAwaits) {
  inspected_loop loop;
  auto sleeping = loop->spawn(sleep_long());
  auto waiting = loop->spawn(await_it(sleeping));
  const json all = loop.tell();
  const auto awaits = awaited_names(all, named(all, "await_it("));
  ASSERT_EQ(awaits.size(), 1U);
  EXPECT_NE(awaits[0].find("sleep_long()"), std::string::npos);
  sleeping.cancel();
}

plait::task<> hold_long(plait::lock& lock) {
  const auto held = co_await lock.acquire();
  co_await sleep_long();
}

plait::task<> want(plait::lock& lock) { const auto held = co_await lock.acquire(); }

TEST(Report, NamesTheTaskThatHoldsTheLockThatAnotherWaitsFor) {
  plait::lock lock;
  inspected_loop loop;
  auto holding = loop->submit(hold_long, std::ref(lock));
  auto waiting = loop->submit(want, std::ref(lock));
  const json all = loop.tell();
  const json& waits = named(all, "want(");
  const auto awaits = awaited_names(all, waits);
  ASSERT_EQ(awaits.size(), 1U);
  EXPECT_NE(awaits[0].find("hold_long("), std::string::npos);
  const auto text = waits.at("waits_for").get<std::string>();
  EXPECT_EQ(text.rfind("a lock that task ", 0), 0U) << text;
  holding.cancel();
  waiting.get();
}

plait::task<> take_both(plait::lock& first, plait::lock& second) {
  const auto one = co_await first.acquire();
  co_await plait::sleep(std::chrono::milliseconds(1));
  const auto other = co_await second.acquire();
}
plait::task<> take_both_in_two_orders() {
  plait::lock a, b;
  co_await plait::gather(take_both(a, b), take_both(b, a));
}
plait::task<> await_nothing(plait::event& never) { co_await never.wait(); }

TEST(Report, SaysOfTasksThatWaitForEachOtherThatNothingWakesThem) {
  inspected_loop loop;
  auto both = loop->spawn(take_both_in_two_orders());
  auto third = loop->spawn(await_it(both));
  while (!loop.tell().contains("stuck")) std::this_thread::yield();
  EXPECT_EQ(loop.tell().at("tasks").size(), 4U);
  both.cancel();
  EXPECT_THROW(third.get(), plait::cancelled_error);
}

TEST(Report, DoesNotSaySoWhileAnythingElseCould) {
  const auto is_stuck_beside = [](auto beside, auto end) {
    plait::event never;
    inspected_loop loop;
    auto waits = loop->submit(await_nothing, std::ref(never));
    const bool alone = loop.tell().contains("stuck");
    auto other = beside(loop);
    const bool together = loop.tell().contains("stuck");
    end();
    other.cancel();
    waits.cancel();
    return std::pair(alone, together);
  };
  const std::pair only_alone(true, false);
  const auto nothing = [] {};
  EXPECT_EQ(
      is_stuck_beside([](inspected_loop& loop) { return loop->spawn(sleep_long()); }, nothing),
      only_alone);
  plait::promise<void> promise;  // whoever has it may keep it
  const auto awaits_promise = [&](inspected_loop& loop) {
    return loop->spawn(await_it(promise.get_future()));
  };
  EXPECT_EQ(is_stuck_beside(awaits_promise, nothing), only_alone);
  gate door;
  plait::thread_pool_executor pool(1);
  const auto awaits_call = [&](inspected_loop& loop) {
    return loop->spawn(await_it(pool.submit(gate::pass, door.name())));
  };
  EXPECT_EQ(is_stuck_beside(awaits_call, [&] { door.open(); }), only_alone);
}

TEST(Report, CountsWhatItDoesNotTell) {
  inspected_loop loop;
  constexpr std::size_t tasks = 12'000;
  std::vector<plait::future<void>> all;
  for (std::size_t i = 0; i < tasks; ++i) all.push_back(loop->spawn(sleep_long()));
  const json told = loop.tell();
  EXPECT_LT(told.at("tasks").size(), tasks);
  EXPECT_EQ(told.at("tasks").size() + told.at("more_tasks").get<std::size_t>(), tasks);
}

TEST(Report, FromTheLoopsOwnThreadDoesNotWaitForItself) {
  const auto self = []() -> plait::task<json> { co_return json::parse(plait::inspect::report()); };
  EXPECT_EQ(plait::run(self()).at("loops").at(0).at("state"), "running");
}

TEST(Report, OfALoopThatNobodyRunsSaysSo) {
  plait::event_loop loop;
  EXPECT_EQ(inspected_loop::tell_now().at("state"), "not running");
}

TEST(Report, NamesTheTaskThatBlocksALoop) {
  plait::inspect::open_door();
  gate door;
  {
    inspected_loop loop;
    const auto block = [](std::string name) -> plait::task<> {
      gate::pass(name);
      co_return;
    };
    auto blocked = loop->submit(block, door.name());
    door.wait_for_arrival();
    const json told = inspected_loop::tell_now();
    EXPECT_EQ(told.at("state"), "blocked");
    EXPECT_NE(told.at("call").get<std::string>().find("NamesTheTaskThatBlocksALoop"),
              std::string::npos);
    EXPECT_GE(told.at("seconds"), 0.0);
    door.open();
    blocked.get();
  }
  plait::inspect::close_door();
}

void hold(const std::string& name) { gate::pass(name); }

TEST(Report, TellsWhichCallAThreadRuns) {
  plait::inspect::open_door();
  {
    plait::thread_pool_executor pool({.max_workers = 1, .thread_name_prefix = "mill"});
    gate door;
    auto held = pool.with({.name = "grinding"}).submit(hold, door.name());
    auto next = pool.submit(hold, door.name());
    door.wait_for_arrival();
    const json told = json::parse(plait::inspect::report()).at("thread_pools").at(0);
    EXPECT_EQ(told.at("name"), "mill");
    EXPECT_EQ(told.at("queued"), 1);
    EXPECT_EQ(told.at("threads").at(0).at("state"), "running");
    EXPECT_EQ(told.at("threads").at(0).at("call"), "grinding");
    door.open(2);
    next.get();
  }
  plait::inspect::close_door();
}

TEST(Report, TellsWhichCallAWorkerProcessRuns) {
  plait::process_pool_executor pool(1);
  gate door;
  auto held = pool.submit(hold, door.name());
  door.wait_for_arrival();
  const json told = json::parse(plait::inspect::report()).at("process_pools").at(0);
  const json& worker = told.at("workers").at(0);
  EXPECT_EQ(worker.at("pid"), pool.worker_pids().at(0));
  EXPECT_EQ(worker.at("state"), "running");
  EXPECT_NE(worker.at("call").get<std::string>().find("hold("), std::string::npos);
  door.open();
  held.get();
}

// Engines come and go while somebody looks: what a sanitizer would see.
TEST(Report, WhileEnginesComeAndGo) {
  std::atomic<bool> done{false};
  std::thread looking([&] {
    while (!done) EXPECT_TRUE(json::accept(plait::inspect::report()));
  });
  for (int i = 0; i < 50; ++i) {
    plait::thread_pool_executor pool(2);
    const auto both = [&pool]() -> plait::task<> {
      co_await plait::gather(pool.submit([] {}), pool.submit([] {}));
    };
    plait::run(both());
  }
  done = true;
  looking.join();
}

plait::task<plait::http::response> answer(plait::http::request) {
  co_return plait::http::response{};
}
plait::task<> connect_twice(std::uint16_t port) {
  const auto first = co_await plait::net::tcp_stream::connect("127.0.0.1", port);
  const auto second = co_await plait::net::tcp_stream::connect("127.0.0.1", port);
  co_await sleep_long();
}

TEST(Report, AnHttpServerAwaitsItsConnections) {
  plait::http::server server({.drain = plait::duration::zero()}, answer);
  inspected_loop loop;
  auto serving = loop->spawn(server.serve(), {.name = "web server"});
  auto visiting = loop->submit(connect_twice, server.port());
  std::size_t children = 0;
  std::string waits_for;
  for (int i = 0; i < 1000 && children != 3; ++i) {
    const json told = loop.tell();
    children = named(told, "web server").at("awaits").size();
    waits_for = named(told, "web server").at("waits_for");
  }
  EXPECT_EQ(children, 3u) << "two connections and the flow that accepts";
  EXPECT_EQ(waits_for, "2 connections and more to come");
  visiting.cancel();
  serving.cancel();
}

}  // namespace

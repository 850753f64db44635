// Workflows: the form in which they travel, and what becomes of them when parts come twice or never.
#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>

#include "celery/canvas.hpp"
#include "celery/client.hpp"
#include "celery/transport.hpp"
#include "plait/celery.hpp"
#include "plait/coroutines.hpp"
#include "plait/testing/temporary_folder.hpp"

namespace {

using namespace std::chrono_literals;
using namespace plait::celery;
namespace seam = plait::celery::detail;

signature call(std::string task) { return {.task = std::move(task)}; }

std::vector<std::string> names_of(const std::vector<signature>& all) {
  std::vector<std::string> names;
  for (const auto& each : all) names.push_back(each.task);
  return names;
}
using names = std::vector<std::string>;

TEST(CeleryCanvas, WhatFollowsOnAGroupIsTheBodyOfAChord) {
  auto whole = chain({call("a"), group({call("b"), call("c")}), call("d"), call("e")});
  seam::freeze(whole);
  const auto steps = whole.members();
  ASSERT_EQ(names_of(steps), (names{"a", "celery.chord"}));
  EXPECT_EQ(names_of(steps[1].members()), (names{"b", "c"}));
  EXPECT_EQ(names_of(steps[1].body()->members()), (names{"d", "e"}));
  EXPECT_EQ(seam::tasks_of(whole).size(), 5u);
  // Its result is the last call's.
  EXPECT_EQ(seam::result_of(whole).id, seam::tasks_of(whole).back());
}

TEST(CeleryCanvas, WhatFollowsOnAChordIsPutToItsBody) {
  auto whole = chain({chord({call("a")}, group({call("b"), call("c")})), call("d")});
  seam::freeze(whole);
  const auto steps = whole.members();
  ASSERT_EQ(names_of(steps), (names{"celery.chord"}));
  // The body is a group which something follows on: a chord again.
  EXPECT_EQ(names_of(steps[0].body()->members()), (names{"celery.chord"}));
}

TEST(CeleryCanvas, ChainsInChainsAndGroupsInGroupsAreOne) {
  auto steps = chain({chain({call("a"), chain({call("b")})}), call("c")});
  seam::freeze(steps);
  EXPECT_EQ(names_of(steps.members()), (names{"a", "b", "c"}));
  auto members = group({call("a"), group({call("b"), group({call("c")})}),
                        chunks(call("d"), {list{1}, list{2}, list{3}}, 2)});
  seam::freeze(members);
  EXPECT_EQ(names_of(members.members()),
            (names{"a", "b", "c", "celery.starmap", "celery.starmap"}));
}

TEST(CeleryCanvas, FrozenItStaysAsItIs) {
  auto once = chain({call("a"), group({call("b"), chain({call("c"), group({call("d")})})}),
                     chord({call("e")}, call("f"))});
  seam::freeze(once);
  auto twice = signature::from_value(once.to_value());
  seam::freeze(twice);
  EXPECT_EQ(once, twice);
}

TEST(CeleryCanvas, ResultsTravelAsCelerysTuples) {
  const seam::result_tree tree{.id = "g", .is_group = true, .members = {{.id = "a"}, {.id = "b"}}};
  EXPECT_EQ(to_json(tree.to_value()), R"([["g",null],[[["a",null],null],[["b",null],null]]])");
  EXPECT_EQ(seam::decode_group(seam::encode_group(tree)), tree);
  for (const char* text : {"{}", "[]", R"({"result": 1})", R"({"result": [[null, null], null]})",
                           R"({"result": [["a", null]]})"})
    EXPECT_THROW(seam::decode_group(text), decode_error) << text;
}

TEST(CeleryCanvas, WhatIsNoWorkflowIsSaidToTheCaller) {
  plait::testing::temporary_folder folder;
  app sender{{.broker = "sqlite:" + folder / "jobs.db"}};
  EXPECT_THROW(sender.send_chain({}), decode_error);
  EXPECT_THROW(sender.send_signature({.task = "celery.chord", .kwargs = {{"header", list{}}}}),
               decode_error);
  EXPECT_THROW(sender.send_signature({.task = "celery.group"}), decode_error);
  EXPECT_THROW(sender.send_signature(chunks(call("a"), {}, 0)), decode_error);
  EXPECT_THROW(sender.send_group({call("a"), group({call("b"), call("c")})}),
               std::invalid_argument);
  EXPECT_THROW(sender.send_signature(group({call("a")}), {.link = {call("b")}}),
               std::invalid_argument);
  EXPECT_TRUE(sender.send_group({}).get().empty());
}

// --- With a worker, on SQLite.

int add(int a, int b) { return a + b; }
int crash(int) { std::abort(); }

struct workflows : testing::Test {
  plait::testing::temporary_folder folder;
  const std::string url = "sqlite:" + folder / "jobs.db" + "?synchronous=normal";
  app tasks{{.broker = url}};
  std::atomic<int> bodies = 0, errors = 0, runs = 0;
  std::optional<worker> works;
  std::thread running;

  workflows() {
    tasks.task("add", &add);
    tasks.task("crash", &crash);
    tasks.task("count", [this](int n) {
      ++runs;
      return n;
    });
    tasks.task("body", [this](std::vector<int> all) {
      ++bodies;
      int sum = 0;
      for (const int n : all) sum = 10 * sum + n;
      return sum;
    });
    tasks.task("error", [this](std::string) { ++errors; });
  }
  void start(worker_options o = {.concurrency = 2}) {
    works.emplace(tasks.worker(std::move(o)));
    running = std::thread([this] { works->run(); });
  }
  ~workflows() override {
    if (!running.joinable()) return;
    works->shutdown();
    running.join();
  }
  signature counted(int n) { return {.task = "count", .args = {n}}; }
  // Everything that is in the queue by now has been run when this returns.
  void settle() { tasks.send_signature<int>(counted(0), {.priority = 9}).get(); }
};

template <class Future>
std::string error_of(const Future& f) {
  try {
    f.get();
  } catch (const plait::remote_error& e) {
    return e.type() + ": " + e.what();
  } catch (const plait::cancelled_error&) {
    return "cancelled";
  }
  return "none";
}

TEST_F(workflows, APartThatIsDeliveredTwiceCountsOnce) {
  // As after a broker's failover: each message of the chord's parts is there twice.
  plait::run([](std::string to, int) -> plait::task<> {
    const auto store = co_await seam::open_transport(to);
    const seam::task_table nothing;
    seam::workflow_start start;
    auto whole = chord({{.task = "count", .args = {1}},
                        {.task = "count", .args = {2}},
                        {.task = "count", .args = {3}}},
                       {.task = "body", .options = {{"task_id", "the-body"}}});
    seam::call_signature({.tasks = nothing, .default_queue = "celery"}, whole, {}, start);
    EXPECT_EQ(start.parcels.size(), 3u);
    EXPECT_EQ(start.chords.at(0).size, 3u);
    co_await store->backend().begin_chord(start.chords.at(0).group, 3);
    co_await store->broker().publish(start.parcels);
    co_await store->broker().publish(start.parcels);
    co_await store->close();
  }(url, 0));
  start();
  settle();
  settle();
  EXPECT_EQ(bodies, 1);
}

TEST_F(workflows, APartThatKillsItsWorkersFailsTheChord) {
  start({.concurrency = 2, .max_deliveries = 2});
  auto body = call("body");
  body.link_error(call("error"));
  const auto failed =
      error_of(tasks.send_chord({counted(1), {.task = "crash", .args = {1}}}, body));
  EXPECT_EQ(failed.rfind("celery.exceptions.ChordError: Dependency ", 0), 0u) << failed;
  EXPECT_NE(failed.find("WorkerLostError"), std::string::npos) << failed;
  settle();
  EXPECT_EQ(bodies, 0);
  EXPECT_EQ(errors, 1);
}

TEST_F(workflows, AFailureGoesOutwardsThroughChords) {
  start();
  const signature broken{.task = "add", .args = {1, "x"}};
  const auto inner = chord({counted(1), broken}, call("body"));
  EXPECT_EQ(error_of(tasks.send_chord({counted(1), inner}, call("body")))
                .rfind("celery.exceptions.ChordError: Dependency ", 0),
            0u);
  // A chain in a chord that breaks before its last call.
  EXPECT_NE(error_of(tasks.send_chord({counted(1), chain({broken, call("count")})}, call("body")))
                .find("TypeError"),
            std::string::npos);
  // What follows on a chord that failed.
  EXPECT_EQ(error_of(tasks.send_chain({group({counted(1), broken}), call("body"), call("count")}))
                .rfind("celery.exceptions.ChordError: ", 0),
            0u);
  EXPECT_EQ(bodies, 0);
}

TEST_F(workflows, ToCancelOneRevokesAllThatHasNotBegun) {
  const auto never = tasks.send_chord({counted(1), chain({counted(2), call("count")})},
                                      call("body"), {.countdown = 100ms});
  const auto each = tasks.send_group<int>({counted(4), counted(5)});
  EXPECT_TRUE(never.cancel());
  EXPECT_TRUE(each.results[0].cancel());
  EXPECT_EQ(error_of(never), "cancelled");
  // The revocations are in the store when a call that was sent after them is.
  EXPECT_THROW(tasks.send_signature(counted(0), {.ignore_result = true}).get(), no_result);
  start();
  EXPECT_EQ(each.results[1].get(), 5);
  std::this_thread::sleep_for(150ms);
  settle();
  EXPECT_EQ(bodies, 0);
  EXPECT_EQ(runs, 3);  // 5, 0 and what settle() sends
}

TEST_F(workflows, ACallIsReplacedByAWorkflow) {
  tasks.task("many", [](context& self, int n) -> int {
    std::vector<signature> parts;
    for (int i = 1; i <= n; ++i) parts.push_back({.task = "count", .args = {i}});
    self.replace(chain({group(std::move(parts)), {.task = "body"}}));
  });
  start();
  const signature many{.task = "many", .args = {3}};
  EXPECT_EQ(tasks.send_signature<int>(many).get(), 123);
  EXPECT_EQ(tasks.send_chain<int>({many, {.task = "add", .args = {1}}}).get(), 124);
  EXPECT_EQ(tasks.send_chord<int>({many, counted(7)}, call("body")).get(), 1237);
}

TEST_F(workflows, OptionsOfTheWholeReachItsCalls) {
  start({.concurrency = 2, .queues = {"slow"}});
  const auto sum = tasks.task("of_queue", [](int n) { return n; }, {.queue = "slow"});
  EXPECT_EQ(tasks.send_chain<int>({counted(1), call("count")}, {.queue = "slow"}).get(), 1);
  // A task's own queue travels with its signature.
  EXPECT_EQ(sum.signature(3).options, (dict{{"queue", "slow"}}));
  EXPECT_EQ(tasks.send_chain<int>({sum.signature(3), sum.partial()}).get(), 3);
  EXPECT_EQ(tasks.send_chain<int>({sum.signature(3), sum.immutable(4)}).get(), 4);
}

}  // namespace

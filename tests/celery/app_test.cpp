// Applications and workers on one SQLite file: what a program sees, and what no kill may lose.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <map>
#include <thread>

#include "celery/transport.hpp"
#include "celery/wire/control_message.hpp"
#include "plait/celery.hpp"
#include "plait/testing/gate.hpp"
#include "plait/testing/temporary_folder.hpp"

extern char** environ;

namespace {

using namespace std::chrono_literals;
using namespace plait::celery;

int add(int a, int b) { return a + b; }
std::string greet(std::string name) {
  if (name.empty()) throw std::invalid_argument("name is empty");
  return "hello " + name;
}
int crash() { std::abort(); }
int endless() {
  for (;;) std::this_thread::sleep_for(1s);
}
plait::task<int> twice(int n) { co_return 2 * n; }

struct fixture {
  plait::testing::temporary_folder folder;
  app tasks{{.broker = "sqlite:" + folder / "jobs.db" + "?synchronous=normal"}};
  worker works;
  std::thread running;
  int status = -1;

  explicit fixture(worker_options o = {.concurrency = 2}) : works(tasks.worker(o)) {}
  void start() {
    running = std::thread([this] { status = works.run(); });
  }
  ~fixture() {
    if (!running.joinable()) return;
    works.shutdown();
    running.join();
    EXPECT_EQ(status, 0);
  }
};

TEST(CeleryApp, CallsComeBackFromProcessesAndFromTheLoop) {
  fixture f;
  const auto sum = f.tasks.task("add", add);
  const auto both = f.tasks.task("twice", twice);
  f.start();
  plait::future<int> five = sum.delay(2, 3);
  EXPECT_EQ(five.get(), 5);
  EXPECT_EQ(both.delay(21).get(), 42);
  EXPECT_EQ(f.tasks.send_task<int>("add", 20, 22).get(), 42);
  EXPECT_EQ(f.tasks.send_chain<int>({sum.signature(1, 2), {.task = "twice"}}).get(), 6);
}

TEST(CeleryApp, AFailedTaskSaysItsTypeAndMessage) {
  fixture f;
  const auto hello = f.tasks.task("greet", greet);
  f.start();
  EXPECT_EQ(hello.delay("you").get(), "hello you");
  try {
    hello.delay("").get();
    FAIL();
  } catch (const plait::remote_error& e) {
    EXPECT_EQ(e.type(), "ValueError");
    EXPECT_STREQ(e.what(), "name is empty");
  }
  EXPECT_THROW(f.tasks.send_task("nobody", 1).get(), plait::remote_error);
}

TEST(CeleryApp, ACrashCostsItsDeliveriesAndNobodyElses) {
  fixture f{{.concurrency = 2, .max_deliveries = 2}};
  const auto bad = f.tasks.task("crash", crash);
  const auto sum = f.tasks.task("add", add);
  f.start();
  const auto lost = bad.delay();
  std::vector<plait::future<int>> sums;
  for (int i = 0; i < 20; ++i) sums.push_back(sum.delay(i, i));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(sums[static_cast<std::size_t>(i)].get(), 2 * i);
  EXPECT_THROW(lost.get(), plait::task_error);
}

// Says how far it is, and stays there until the gate opens.
int progresses(context& self, std::string gate_name) {
  for (int i = 1; i <= 3; ++i) self.update_state("PROGRESS", dict{{"done", i}});
  plait::testing::gate::pass(gate_name);
  return 4;
}

class CeleryAppPools : public testing::TestWithParam<pool_kind> {};
INSTANTIATE_TEST_SUITE_P(All, CeleryAppPools,
                         testing::Values(pool_kind::processes, pool_kind::threads),
                         [](const auto& each) {
                           return each.param == pool_kind::threads ? "Threads" : "Processes";
                         });

TEST_P(CeleryAppPools, ARunningCallTellsOfItself) {
  fixture f{{.concurrency = 1, .pool = GetParam()}};
  const auto counted = f.tasks.task("progresses", progresses);
  const plait::testing::gate gate;
  const std::string id = new_task_id();
  app elsewhere{f.tasks.options()};
  EXPECT_EQ(elsewhere.state_of(id).get().state, "PENDING");
  f.start();
  const auto four = counted.apply_async({gate.name()}, {.task_id = id});
  gate.wait_for_arrival();
  call_state now;
  do now = elsewhere.state_of(id).get();
  while (now.state != "PROGRESS" || now.result != value(dict{{"done", 3}}));
  const auto there = elsewhere.result_of<int>(id);
  EXPECT_FALSE(there.done());
  gate.open();
  EXPECT_EQ(four.get(), 4);
  EXPECT_EQ(there.get(), 4);
  now = elsewhere.state_of(id).get();
  EXPECT_EQ(now.state, "SUCCESS");
  EXPECT_EQ(now.result, value(4));
}

int reports_what_it_likes() {
  for (const char* text : {"42", "[]", "[1,2,3]", "not JSON", "", R"(["id","PROGRESS",1])"})
    plait::this_call::report(text);
  return 7;
}

TEST(CeleryApp, ATaskMayReportWhatItLikes) {
  fixture f{{.concurrency = 1}};
  const auto reports = f.tasks.task("reports", reports_what_it_likes);
  f.start();
  EXPECT_EQ(reports.delay().get(), 7);
  EXPECT_EQ(reports.delay().get(), 7);
}

TEST(CeleryApp, ARevocationChangesNothingOfWhatHasBegunOrEnded) {
  fixture f{{.concurrency = 1}};
  const auto hello = f.tasks.task("greet", greet);
  const auto counted = f.tasks.task("progresses", progresses);
  const plait::testing::gate gate;
  f.start();
  const std::string failed = new_task_id(), runs = new_task_id();
  EXPECT_THROW(hello.apply_async({""}, {.task_id = failed}).get(), plait::remote_error);
  const auto four = counted.apply_async({gate.name()}, {.task_id = runs});
  gate.wait_for_arrival();
  while (f.tasks.state_of(runs).get().state != "PROGRESS") {
  }
  const std::string waits = new_task_id();
  const auto never = hello.apply_async({"you"}, {.countdown = 1h, .task_id = waits});
  for (const auto& id : {failed, runs, waits}) f.tasks.revoke(id);
  EXPECT_THROW(never.get(), plait::cancelled_error);  // the last of them has been carried out
  EXPECT_EQ(f.tasks.state_of(runs).get().state, "PROGRESS");
  gate.open();
  EXPECT_EQ(four.get(), 4);
  EXPECT_EQ(f.tasks.state_of(failed).get().state, "FAILURE");
}

TEST(CeleryApp, ACallIsKnownByItsIdWhereverItWasSent) {
  fixture f;
  const auto hello = f.tasks.task("greet", greet);
  const std::string bad = new_task_id(), late = new_task_id();
  EXPECT_NE(bad, late);
  app elsewhere{f.tasks.options()};
  const auto failure = elsewhere.result_of(bad);
  auto given_up = elsewhere.result_of(late);
  f.start();
  static_cast<void>(hello.apply_async({""}, {.task_id = bad}));
  EXPECT_THROW(failure.get(), plait::remote_error);
  EXPECT_EQ(elsewhere.state_of(bad).get().error, "ValueError: name is empty");
  const auto never = hello.apply_async({"you"}, {.countdown = 1h, .task_id = late});
  EXPECT_TRUE(given_up.cancel());  // which is not the call's affair
  EXPECT_EQ(elsewhere.state_of(late).get().state, "PENDING");
  elsewhere.revoke(late);
  EXPECT_THROW(never.get(), plait::cancelled_error);
  EXPECT_EQ(elsewhere.state_of(late).get().state, "REVOKED");
}

TEST(CeleryApp, AHardLimitEndsACall) {
  fixture f;
  const auto stuck = f.tasks.task("endless", endless);
  f.start();
  EXPECT_THROW(stuck.apply_async({}, {.time_limit = 50ms}).get(), plait::timeout_error);
}

unsigned says_its_delivery(context& self, std::string gate_name) {
  plait::testing::gate::pass(gate_name);
  return self.deliveries();
}

// As `celery control terminate` asks.
void terminate(const app& at, const std::string& id) {
  plait::run([](std::string url, std::string called) -> plait::task<> {
    const auto store = co_await detail::open_transport(url);
    detail::control_request request;
    request.method = "revoke";
    request.arguments.set("task_id", called);
    request.arguments.set("terminate", true);
    co_await store->control().broadcast(detail::encode_envelope(detail::encode_request(request)));
    co_await store->close();
  }(at.options().broker, id));
}

TEST(CeleryApp, ATerminatedCallEndsWithItsProcessAndNobodyElses) {
  fixture f;
  const auto held = f.tasks.task("held", says_its_delivery);
  const plait::testing::gate one, other;
  const std::string id = new_task_id();
  f.start();
  const auto terminated = held.apply_async({one.name()}, {.task_id = id});
  const auto lives = held.delay(other.name());
  one.wait_for_arrival();
  other.wait_for_arrival();
  terminate(f.tasks, id);
  EXPECT_THROW(terminated.get(), plait::cancelled_error);
  EXPECT_FALSE(lives.done());
  other.open();
  EXPECT_EQ(lives.get(), 1u);
}

TEST(CeleryApp, AColdShutdownGivesBackWhatItRan) {
  for (const auto pool : {pool_kind::processes, pool_kind::threads}) {
    fixture f{{.concurrency = 1, .pool = pool}};
    const auto held = f.tasks.task("held", says_its_delivery);
    const plait::testing::gate gate;
    f.start();
    const auto waits = held.delay(gate.name());
    gate.wait_for_arrival();
    f.works.shutdown();
    f.works.shutdown();
    if (pool == pool_kind::threads) gate.open();  // a thread cannot be ended
    f.running.join();
    EXPECT_EQ(f.status, 1) << "it was a cold one";
    if (pool == pool_kind::threads) {
      EXPECT_EQ(waits.get(), 1u);
      continue;
    }
    EXPECT_FALSE(waits.done());
    worker successor = f.tasks.worker({.concurrency = 1});
    std::thread running([&] { EXPECT_EQ(successor.run(), 0); });
    gate.wait_for_arrival();
    gate.open();
    EXPECT_EQ(waits.get(), 1u) << "to be stopped is no fault of the call's";
    successor.shutdown();
    running.join();
  }
}

TEST(CeleryApp, WhatIsNotKeptIsSaidAtOnceAndWhatIsCancelledNeverRuns) {
  fixture f;
  const auto sum = f.tasks.task("add", add);
  EXPECT_THROW(sum.apply_async({1, 2}, {.ignore_result = true}).get(), no_result);
  const auto never = sum.apply_async({1, 2}, {.countdown = 1h});
  EXPECT_TRUE(never.cancel());
  EXPECT_THROW(never.get(), plait::cancelled_error);
}

TEST(CeleryApp, WhatWasFlushedIsInTheQueue) {
  fixture f;
  const auto sum = f.tasks.task("add", add);
  EXPECT_TRUE(f.tasks.flush(0s)) << "nothing was sent";
  {
    // Somebody else writes: nothing can be sent meanwhile.
    sqlite3* file = nullptr;
    sum.apply_async({0, 0}, {.ignore_result = true});
    EXPECT_TRUE(f.tasks.flush());
    ASSERT_EQ(sqlite3_open((f.folder / "jobs.db").c_str(), &file), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(file, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
    sum.apply_async({1, 1}, {.ignore_result = true});
    EXPECT_FALSE(f.tasks.flush(20ms));
    ASSERT_EQ(sqlite3_exec(file, "COMMIT", nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(file);
  }
  EXPECT_TRUE(f.tasks.flush());
  app other({.broker = "sqlite:" + f.folder / "jobs.db"});
  const auto last = other.task("add", add).delay(20, 22);
  EXPECT_TRUE(other.flush());
  f.start();
  EXPECT_EQ(last.get(), 42);
}

TEST(CeleryApp, ACallOfAnotherTransactionIsSentWithItOrNotAtAll) {
  fixture f;
  const auto sum = f.tasks.task("add", add);
  sqlite3* db = nullptr;
  ASSERT_EQ(::sqlite3_open((f.folder / "jobs.db").c_str(), &db), SQLITE_OK);
  const auto run = [db](const char* sql) { ::sqlite3_exec(db, sql, nullptr, nullptr, nullptr); };
  run("PRAGMA journal_mode=WAL; CREATE TABLE orders(id INTEGER); BEGIN");
  send_within(db, sum.signature(1, 1));
  run("ROLLBACK; BEGIN; INSERT INTO orders VALUES(1)");
  send_within(db, sum.signature(2, 2));
  run("COMMIT");
  ::sqlite3_close(db);
  plait::run([](std::string url) -> plait::task<> {
    const auto store = co_await detail::open_transport(url);
    const auto lengths = co_await store->broker().lengths({});
    EXPECT_EQ(lengths.at(0).waiting, 1u);
    co_await store->close();
  }(f.tasks.options().broker));
}

TEST(CeleryApp, AFileThatCannotBeIsAnErrorOfTheCall) {
  app broken{{.broker = "sqlite:/no/such/folder/jobs.db"}};
  EXPECT_THROW(broken.send_task("add", 1, 2).get(), transport_error);
  EXPECT_THROW(app({.broker = "kafka://x"}), std::invalid_argument);
}

// One line in the ledger for each time that a call ran.
void note(std::string ledger, int n) {
  const int fd = ::open(ledger.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  const std::string line = std::to_string(n) + '\n';
  if (fd < 0 || ::write(fd, line.data(), line.size()) < 0) std::abort();
  ::close(fd);
}

// Not a test: the program of the workers that the next one kills.
TEST(CeleryLedger, DISABLED_Worker) {
  app tasks{{.broker = std::getenv("PLAIT_LEDGER_BROKER")}};
  tasks.task("note", note, {.ignore_result = true});
  tasks
      .worker({.concurrency = 2, .pool = pool_kind::threads, .lease = 300ms, .max_deliveries = 100})
      .run();
}

std::map<int, int> read_ledger(const std::string& path) {
  std::map<int, int> runs;
  std::ifstream lines(path);
  for (int n; lines >> n;) ++runs[n];
  return runs;
}

TEST(CeleryLedger, TwentyKillsLoseNothing) {
  constexpr int calls = 2000, kills = 20, taken_at_once = 4;
  plait::testing::temporary_folder folder;
  const std::string ledger = folder / "ledger";
  const std::string broker = "sqlite:" + folder / "jobs.db" + "?synchronous=normal";
  {
    app sender{{.broker = broker}};
    const auto noted = sender.task("note", note);
    std::vector<plait::future<>> sent;
    for (int i = 0; i < calls; ++i)
      sent.push_back(noted.apply_async({ledger, i}, {.ignore_result = true}));
    for (const auto& s : sent) EXPECT_THROW(s.get(), no_result);
  }
  ::setenv("PLAIT_LEDGER_BROKER", broker.c_str(), 1);
  char name[] = "celery_worker_test", also[] = "--gtest_also_run_disabled_tests",
       filter[] = "--gtest_filter=CeleryLedger.DISABLED_Worker";
  char* arguments[] = {name, also, filter, nullptr};
  posix_spawn_file_actions_t quiet;
  posix_spawn_file_actions_init(&quiet);
  posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", O_WRONLY, 0);
  // Until the ledger has that many lines; a bounded number of looks.
  const auto wait_for = [&](std::size_t lines) {
    for (int looks = 0; looks < 20'000; ++looks) {
      std::size_t total = 0;
      for (const auto& [n, times] : read_ledger(ledger)) total += static_cast<std::size_t>(times);
      if (total >= lines) return total;
      std::this_thread::sleep_for(2ms);
    }
    ADD_FAILURE() << "the workers came to a halt";
    return lines;
  };
  std::size_t lines = 0;
  for (int kill = 0; kill <= kills; ++kill) {
    pid_t pid = 0;
    ASSERT_EQ(::posix_spawn(&pid, "/proc/self/exe", &quiet, nullptr, arguments, environ), 0);
    if (kill < kills) {
      lines = wait_for(lines + 40);
      ::kill(pid, SIGKILL);
    } else {
      // The last one lives until every call has run.
      for (int looks = 0; looks < 10'000 && read_ledger(ledger).size() < calls; ++looks)
        std::this_thread::sleep_for(2ms);
      ::kill(pid, SIGTERM);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    EXPECT_EQ(WIFSIGNALED(status), kill < kills) << status;
  }
  posix_spawn_file_actions_destroy(&quiet);
  const auto runs = read_ledger(ledger);
  EXPECT_EQ(runs.size(), static_cast<std::size_t>(calls)) << "calls were lost";
  int doubles = 0;
  for (const auto& [n, times] : runs) doubles += times - 1;
  EXPECT_LE(doubles, kills * taken_at_once);
  RecordProperty("doubles", doubles);
}

}  // namespace

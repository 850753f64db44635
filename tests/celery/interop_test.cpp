// With the real Celery of Debian, on one Redis: our client and its worker, its client and our
// worker, and both kinds of workers on one queue.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>
#include <system_error>
#include <thread>

#include "child_process.hpp"
#include "plait/celery.hpp"
#include "plait/coroutines.hpp"
#include "redis_server.hpp"

namespace {

using namespace std::chrono_literals;
using namespace plait::celery;

// --- Tasks that run here, by the names that interop_tasks.py has.

int add(int a, int b) { return a + b; }
value echo(value v) { return v; }
plait::task<int> twice(int n) { co_return 2 * n; }
int total(std::vector<int> numbers) {
  int sum = 0;
  for (const int n : numbers) sum += n;
  return sum;
}
list nested(value lists) { return {lists.type_name(), lists}; }
struct own_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};
int fail(std::string kind, std::string text) {
  if (kind == "value") throw std::invalid_argument(text);
  if (kind == "file") throw std::system_error(ENOENT, std::generic_category(), "open");
  throw own_error(text);
}
unsigned flaky(context& self, unsigned times) {
  if (self.retries() < times) self.retry({.countdown = 0s});
  return self.retries();
}
plait::task<std::string> progress(context& self) {
  self.update_state("PROGRESS", dict{{"done", 1}});
  co_await plait::sleep(200ms);
  co_return "done";
}
// To a list of the Redis that $INTEROP_PORT names.
void note(std::string key, std::string what) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(std::atoi(std::getenv("INTEROP_PORT"))));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const std::string text = "RPUSH " + key + " \"" + what + "\"\r\n";
  char answer[64];
  const bool done = ::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0 &&
                    ::write(fd, text.data(), text.size()) > 0 &&
                    ::read(fd, answer, sizeof answer) > 0;
  ::close(fd);
  if (!done) throw std::runtime_error("Redis did not take the note");
}
void replaced(context& self, int n) {
  std::vector<signature> members;
  for (int i = 0; i < n; ++i) members.push_back({.task = "add", .args = {i, i}});
  self.replace(group(std::move(members)));
}
list mixed(int n) {
  std::this_thread::sleep_for(5ms);
  return {n * n, "c++"};
}

value first_of(list pair) { return pair.at(0); }

void add_tasks(app& to) {
  to.task("add", &add, {.parameters = {"a", {"b", 100}}});
  to.task("echo", &echo);
  to.task("twice", &twice);
  to.task("total", &total);
  to.task("nested", &nested);
  to.task("fail", &fail);
  to.task("flaky", &flaky);
  to.task("progress", &progress);
  to.task("note", &note);
  to.task("replaced", &replaced);
  to.task("mixed", &mixed);
  to.task("first_of", &first_of);
}

// --- Who takes part.

std::vector<std::string> python(const std::string& url, const std::string& queue,
                                std::vector<std::string> words) {
  std::vector<std::string> all{"env",
                               "INTEROP_URL=" + url,
                               "INTEROP_QUEUE=" + queue,
                               "PYTHONPATH=" CELERY_TEST_FOLDER,
                               "PYTHONDONTWRITEBYTECODE=1",
                               "C_FORCE_ROOT=1",
                               "/usr/bin/python3"};
  all.insert(all.end(), words.begin(), words.end());
  return all;
}

struct stage {
  redis_server redis;
  plait::testing::temporary_folder folder;
  const std::string url = redis.url();

  stage() { ::setenv("INTEROP_PORT", std::to_string(redis.port()).c_str(), 1); }
  child_process celery_worker(const std::string& queue = "celery") {
    return child_process(
        python(url, queue,
               {"-m", "celery", "-A", "interop_tasks", "worker", "-c", "2", "-l", "WARNING",
                "--without-gossip", "--without-mingle", "--without-heartbeat"}),
        folder / "worker.log");
  }
  // Runs a suite of interop_client.py to its end.
  void python_calls(std::vector<std::string> suites, const std::string& queue = "celery") {
    std::vector<std::string> words{CELERY_TEST_FOLDER "/interop_client.py"};
    words.insert(words.end(), suites.begin(), suites.end());
    child_process client(python(url, queue, words), folder / "client.log");
    EXPECT_EQ(client.wait(), 0) << client.output();
  }
};

// A worker of this program, on a thread.
struct running_worker {
  worker works;
  std::thread thread;
  int status = -1;
  running_worker(app& of, worker_options o) : works(of.worker(std::move(o))) {
    thread = std::thread([this] { status = works.run(); });
  }
  ~running_worker() {
    works.shutdown();
    thread.join();
    EXPECT_EQ(status, 0);
  }
};

template <class R>
R get(const plait::future<R>& f) {
  if (!f.wait_for(30s)) throw std::runtime_error("no result within 30 s");
  return f.get();
}

template <class R>
std::string error_of(const plait::future<R>& f) {
  try {
    get(f);
  } catch (const plait::remote_error& e) {
    return e.type() + ": " + e.what();
  } catch (const plait::cancelled_error&) {
    return "cancelled";
  } catch (const std::exception& e) {
    return e.what();
  }
  return "none";
}

// --- What is asked of a worker by our client, whoever the worker is.

void calls_of_all_kinds(app& client) {
  EXPECT_EQ(get(client.send_task<int>("add", 2, 3)), 5);
  EXPECT_EQ(get(client.send_task<int>("add", 2)), 102);
  EXPECT_EQ(get(client.send_signature<int>({.task = "add", .kwargs = {{"a", 1}, {"b", 2}}})), 3);
  // An eta is a moment of the calendar, in whole microseconds.
  const auto calendar = [] {
    return std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
  };
  const auto begin = calendar();
  EXPECT_EQ(get(client.send_signature<int>({.task = "add", .args = {1, 2}}, {.countdown = 300ms})),
            3);
  EXPECT_GE(calendar() - begin, 300ms);
  const auto past = std::chrono::time_point_cast<std::chrono::microseconds>(
      std::chrono::system_clock::now() - 1min);
  EXPECT_EQ(error_of(client.send_signature({.task = "add", .args = {1, 2}}, {.expires = past})),
            "cancelled");
  EXPECT_EQ(error_of(client.send_task("fail", "value", "no sense")), "ValueError: no sense");
  EXPECT_NE(error_of(client.send_task("fail", "file", "")).find("No such file or directory"),
            std::string::npos);
  EXPECT_NE(error_of(client.send_task("add", 1, 2, 3)).find("TypeError"), std::string::npos);
  EXPECT_NE(error_of(client.send_task("no.such.task")).find("NotRegistered"), std::string::npos);
  EXPECT_EQ(get(client.send_task<int>("flaky", 2)), 2);
  EXPECT_EQ(get(client.send_task<std::string>("progress")), "done");
  EXPECT_THROW(get(client.send_signature({.task = "add", .args = {1, 2}}, {.ignore_result = true})),
               no_result);
  const auto never = client.send_signature({.task = "add", .args = {1, 2}}, {.countdown = 1h});
  EXPECT_TRUE(never.cancel());
  EXPECT_THROW(never.get(), plait::cancelled_error);
}

signature sum_of(int a, int b) { return {.task = "add", .args = {a, b}}; }
signature plus(int n) { return {.task = "add", .args = {n}}; }

void workflows_of_all_kinds(app& client) {
  const signature all{.task = "total"};
  // Chains.
  EXPECT_EQ(get(client.send_chain<int>({sum_of(1, 2), plus(10), plus(100)})), 113);
  auto apart = sum_of(5, 5);
  apart.immutable = true;
  EXPECT_EQ(get(client.send_chain<int>({sum_of(1, 2), apart})), 10);
  EXPECT_EQ(
      error_of(client.send_chain(
          {sum_of(1, 2), {.task = "fail", .args = {"value", "x"}, .immutable = true}, plus(1)})),
      "ValueError: x");
  // Groups: each, and as one.
  std::vector<signature> ten;
  for (int i = 0; i < 10; ++i) ten.push_back(sum_of(i, i));
  const auto each = client.send_group<int>(ten);
  EXPECT_EQ(each.get(), (std::vector{0, 2, 4, 6, 8, 10, 12, 14, 16, 18}));
  EXPECT_EQ(get(client.send_signature<std::vector<int>>(group({sum_of(1, 1), sum_of(2, 2)}))),
            (std::vector{2, 4}));
  EXPECT_EQ(get(client.send_signature<std::vector<int>>(group({}))), std::vector<int>());
  // Chords.
  EXPECT_EQ(get(client.send_chord<int>(ten, all)), 90);
  EXPECT_EQ(get(client.send_chord<int>({}, all)), 0);
  const auto broken = error_of(
      client.send_chord({sum_of(1, 1), {.task = "fail", .args = {"value", "bad part"}}}, all));
  EXPECT_EQ(broken.rfind("celery.exceptions.ChordError: Dependency ", 0), 0u) << broken;
  EXPECT_NE(broken.find("ValueError('bad part')"), std::string::npos) << broken;
  // One in the other.
  EXPECT_EQ(get(client.send_chain<int>({sum_of(1, 1), group({plus(2), plus(3)}), all})), 9);
  EXPECT_EQ(get(client.send_chain<int>({sum_of(1, 1), group({plus(2), plus(3)}), all, plus(1)})),
            10);
  EXPECT_EQ(get(client.send_chain<std::vector<int>>({sum_of(1, 1), group({plus(2), plus(3)})})),
            (std::vector{4, 5}));
  EXPECT_EQ(get(client.send_signature<std::vector<int>>(
                group({chain({sum_of(1, 1), plus(1)}), sum_of(5, 5)}))),
            (std::vector{3, 10}));
  EXPECT_EQ(
      get(client.send_chord<int>({chord({sum_of(1, 1), sum_of(2, 2)}, all), sum_of(4, 4)}, all)),
      14);
  EXPECT_EQ(
      get(client.send_chord<list>({chain({sum_of(1, 1), group({plus(1), plus(2)})}), sum_of(9, 9)},
                                  {.task = "nested"})),
      (list{"list", list{list{3, 4}, 18}}));
  EXPECT_EQ(
      get(client.send_chord<int>({sum_of(1, 1), sum_of(2, 2)}, chain({all, plus(1), plus(1)}))), 8);
  EXPECT_EQ(get(client.send_chain<int>(
                {group({sum_of(1, 1), sum_of(2, 2)}), group({all, chain({all, plus(1)})}), all})),
            13);
  // Maps.
  const signature adds{.task = "add"};
  const list pairs{list{1, 2}, list{3, 4}, list{5, 6}};
  EXPECT_EQ(get(client.send_signature<std::vector<int>>(map(all, {list{1, 2}, list{3}}))),
            (std::vector{3, 3}));
  EXPECT_EQ(get(client.send_signature<std::vector<int>>(starmap(adds, pairs))),
            (std::vector{3, 7, 11}));
  EXPECT_EQ(get(client.send_signature<std::vector<std::vector<int>>>(chunks(adds, pairs, 2))),
            (std::vector<std::vector<int>>{{3, 7}, {11}}));
  // What a task replaces itself by.
  EXPECT_EQ(get(client.send_task<std::vector<int>>("replaced", 3)), (std::vector{0, 2, 4}));
  EXPECT_EQ(get(client.send_chain<int>({{.task = "replaced", .args = {3}}, all})), 6);
}

void links_are_called(app& client) {
  const auto noted = [](std::string what) {
    return signature{.task = "note", .args = {"links-c++", what}, .immutable = true};
  };
  get(client.send_signature(sum_of(1, 2),
                            {.link = {noted("called")}, .link_error = {noted("not this")}}));
  error_of(client.send_signature({.task = "fail", .args = {"value", "x"}},
                                 {.link = {noted("nor this")}, .link_error = {noted("failed")}}));
  error_of(client.send_chord({{.task = "fail", .args = {"value", "x"}}}, {.task = "total"},
                             {.link_error = {noted("chord failed")}}));
}

// --- The tests. Each starts what it needs: ctest runs them one by one.

TEST(CeleryInterop, OurClientAndPythonsWorker) {
  stage s;
  auto theirs = s.celery_worker();
  {
    app client{{.broker = s.url}};
    calls_of_all_kinds(client);
    EXPECT_EQ(get(client.send_task<list>("same", 1, "\xc3\xa4", nullptr, 2.5, list{true})),
              (list{list{1, "\xc3\xa4", nullptr, 2.5, list{true}}, dict()}));
    EXPECT_EQ(error_of(client.send_task("fail", "own", "mine")),
              "interop_tasks.OwnError: ('mine', 7)");
    EXPECT_EQ(get(client.send_signature<int>({.task = "priority"}, {.priority = 6})), 6);
    workflows_of_all_kinds(client);
    links_are_called(client);
    EXPECT_TRUE(theirs.is_running());
  }
  if (HasFailure()) std::cerr << theirs.output();
  theirs.end(SIGTERM);
}

TEST(CeleryInterop, OurClientAndOurWorker) {
  stage s;
  for (const auto& broker : {s.url, "sqlite:" + s.folder / "jobs.db" + "?synchronous=normal"}) {
    SCOPED_TRACE(broker);
    app ours{{.broker = broker}};
    add_tasks(ours);
    running_worker works(ours, {.concurrency = 2});
    calls_of_all_kinds(ours);
    workflows_of_all_kinds(ours);
    links_are_called(ours);
  }
}

TEST(CeleryInterop, PythonsClientAndOurWorkersProcesses) {
  stage s;
  app ours{{.broker = s.url}};
  add_tasks(ours);
  running_worker works(ours, {.concurrency = 2});
  s.python_calls({"calls", "canvas"});
}

TEST(CeleryInterop, PythonsClientAndOurWorkersThreads) {
  stage s;
  app ours{{.broker = s.url}};
  add_tasks(ours);
  running_worker works(ours, {.concurrency = 2, .pool = pool_kind::threads});
  s.python_calls({"calls"});
}

// Not a test: our worker as a program of its own, for the next one to kill.
TEST(CeleryInterop, DISABLED_Worker) {
  app ours{{.broker = std::getenv("INTEROP_BROKER")}};
  add_tasks(ours);
  ours.worker({.concurrency = 2, .lease = 200ms, .max_deliveries = 100}).run();
}

TEST(CeleryInterop, BothKindsOfWorkersShareAQueueAndOneIsKilled) {
  constexpr int calls = 200, before_the_kill = 60;
  stage s;
  ::setenv("INTEROP_BROKER", s.url.c_str(), 1);
  app client{{.broker = s.url}};
  auto theirs = s.celery_worker();
  EXPECT_EQ(get(client.send_task<int>("add", 1, 2)), 3);  // it is there
  const auto our_worker = [&s](const char* log) {
    return child_process({"/proc/self/exe", "--gtest_also_run_disabled_tests",
                          "--gtest_filter=CeleryInterop.DISABLED_Worker"},
                         s.folder / log);
  };
  auto first = our_worker("first.log");
  for (int looks = 0; looks < 5000 && first.output().find("plait worker ") == std::string::npos;
       ++looks)
    std::this_thread::sleep_for(2ms);
  std::vector<plait::future<list>> sent;
  for (int i = 0; i < calls; ++i) sent.push_back(client.send_task<list>("mixed", i));
  const auto done = [&sent] {
    return std::count_if(sent.begin(), sent.end(), [](const auto& f) { return f.done(); });
  };
  for (int looks = 0; looks < 10'000 && done() < before_the_kill; ++looks)
    std::this_thread::sleep_for(1ms);
  first.end(SIGKILL);
  auto second = our_worker("second.log");
  std::map<std::string, int> by;
  for (int i = 0; i < calls; ++i) {
    const list each = get(sent[static_cast<std::size_t>(i)]);
    EXPECT_EQ(each.at(0), value(i * i));
    ++by[from_value<std::string>(each.at(1))];
  }
  EXPECT_GT(by["python"], 0);
  EXPECT_GT(by["c++"], 0);
  EXPECT_EQ(by["python"] + by["c++"], calls);
  // Both count the parts of one chord, and either may be the one that ends it.
  for (int round = 0; round < 2; ++round) {
    std::vector<signature> parts;
    for (int i = 0; i < 20; ++i) parts.push_back({.task = "mixed", .args = {i}});
    const auto all = get(client.send_chord<list>(parts, {.task = "nested"}));
    const list results = from_value<list>(all.at(1));
    ASSERT_EQ(results.size(), 20u);
    for (int i = 0; i < 20; ++i)
      EXPECT_EQ(from_value<list>(results[static_cast<std::size_t>(i)]).at(0), value(i * i));
    workflows_of_all_kinds(client);
  }
  if (HasFailure()) std::cerr << theirs.output() << second.output();
  second.end(SIGTERM);
  theirs.end(SIGTERM);
}

TEST(CeleryOutbox, KeepsWhatTheBrokerDoesNotTakeUntilItIsBack) {
  stage s;
  const std::string file = "sqlite:" + s.folder / "outbox.db";
  const app_options options{.broker = s.url, .outbox = file, .outbox_after = 200ms};
  s.redis.stop();
  {
    // A program that has ended before the broker is back.
    app gone{options};
    EXPECT_THROW(
        gone.send_signature({.task = "note", .args = {"kept", "one"}}, {.ignore_result = true})
            .get(),
        no_result);
    EXPECT_THROW(gone.send_chord({sum_of(1, 1), sum_of(2, 2)},
                                 {.task = "note", .args = {"kept", "chord"}, .immutable = true},
                                 {.ignore_result = true})
                     .get(),
                 no_result);
  }
  app ours{options};
  add_tasks(ours);
  const auto later = ours.send_task<int>("add", 20, 22);
  const auto chord = ours.send_chord<int>({sum_of(1, 1), sum_of(2, 2)}, {.task = "total"});
  EXPECT_FALSE(later.wait_for(300ms));
  s.redis.start();
  running_worker works(ours, {.concurrency = 2});
  EXPECT_EQ(get(later), 42);
  EXPECT_EQ(get(chord), 6);
  EXPECT_EQ(get(ours.send_task<int>("add", 1, 2)), 3);  // as if nothing had been
  s.python_calls({"kept"});
}

TEST(CeleryInterop, KillsLoseNoWorkflow) {
  constexpr int workflows = 30, kills = 5;
  stage s;
  for (const auto& broker : {s.url, "sqlite:" + s.folder / "jobs.db" + "?synchronous=normal"}) {
    SCOPED_TRACE(broker);
    ::setenv("INTEROP_BROKER", broker.c_str(), 1);
    app client{{.broker = broker}};
    std::vector<plait::future<int>> sent;
    for (int i = 0; i < workflows; ++i) {
      std::vector<signature> parts;
      for (int j = 0; j < 3; ++j)
        parts.push_back(chain({{.task = "mixed", .args = {j}}, {.task = "first_of"}, plus(i)}));
      sent.push_back(client.send_chain<int>({group(parts), {.task = "total"}, plus(1000)}));
    }
    const auto done = [&sent] {
      return std::count_if(sent.begin(), sent.end(), [](const auto& f) { return f.done(); });
    };
    for (int kill = 0; kill <= kills; ++kill) {
      child_process works({"/proc/self/exe", "--gtest_also_run_disabled_tests",
                           "--gtest_filter=CeleryInterop.DISABLED_Worker"},
                          s.folder / "worker.log");
      if (kill < kills) {
        const auto before = done();
        for (int looks = 0; looks < 3000 && done() < std::min<long>(before + 2, workflows); ++looks)
          std::this_thread::sleep_for(1ms);
        works.end(SIGKILL);
      } else {
        for (int i = 0; i < workflows; ++i)
          EXPECT_EQ(get(sent[static_cast<std::size_t>(i)]), 1005 + 3 * i);
        works.end(SIGTERM);
      }
    }
  }
}

#ifdef CELERY_EXAMPLE
TEST(CeleryInterop, AFlaskApplicationSendsToTheExamplesWorker) {
  stage s;
  ::setenv("BROKER_URL", s.url.c_str(), 1);
  child_process works({CELERY_EXAMPLE, "worker", s.url}, s.folder / "worker.log");
  child_process browser({"env", "PYTHONPATH=" CELERY_FLASK_APP, "PYTHONDONTWRITEBYTECODE=1",
                         "/usr/bin/python3", CELERY_TEST_FOLDER "/flask_check.py"},
                        s.folder / "browser.log");
  EXPECT_EQ(browser.wait(), 0) << browser.output() << works.output();
  EXPECT_EQ(works.end(SIGTERM), 0) << works.output();
}
#endif

}  // namespace

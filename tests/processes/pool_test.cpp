#include <plait/processes.hpp>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

namespace {

using plait::process_pool_executor;

static_assert(plait::executor<process_pool_executor>);

int twice(int n) { return 2 * n; }
std::size_t length(std::string_view text) { return text.size(); }
std::string join(const std::vector<std::string>& parts, const std::string& separator) {
  std::string all;
  for (const auto& p : parts) all += (all.empty() ? "" : separator) + p;
  return all;
}
int own_pid() { return getpid(); }
void nothing() {}

struct counter {
  int start;
  int plus(int n) const { return start + n; }
  virtual int times(int n) const { return start * n; }
  counter(int s = 0) : start(s) {}
  virtual ~counter() = default;
};
struct adder {
  int term;
  int operator()(int n) const { return term + n; }
};

}  // namespace

template <>
struct plait::codec<counter> {
  static void encode(encoder& to, const counter& c) { to.write_plain(c.start); }
  static counter decode(decoder& from) { return counter(from.read_plain<int>()); }
};

namespace {

TEST(ProcessPool, CallsRunInAnotherProcess) {
  process_pool_executor pool{1};
  const int pid = pool.submit(own_pid).get();
  EXPECT_NE(pid, getpid());
  EXPECT_EQ(pool.worker_pids(), std::vector<int>{pid});
}

TEST(ProcessPool, FunctionsOfEveryKind) {
  process_pool_executor pool{1};
  EXPECT_EQ(pool.submit(twice, 21).get(), 42);
  EXPECT_EQ(pool.submit(&twice, 21).get(), 42);
  EXPECT_EQ(pool.submit([](int a, int b) { return a - b; }, 5, 3).get(), 2);
  EXPECT_EQ(pool.submit([](auto a) { return a + a; }, std::string("ab")).get(), "abab");
  EXPECT_EQ(pool.submit(std::plus<>{}, 1, 2).get(), 3);
  EXPECT_EQ(pool.submit(&counter::plus, counter(40), 2).get(), 42);
  EXPECT_EQ(pool.submit(&counter::times, counter(6), 7).get(), 42);
  EXPECT_EQ(pool.submit(adder{40}, 2).get(), 42);
  int (*chosen_at_run_time)(int) = getpid() > 0 ? twice : nullptr;
  EXPECT_EQ(pool.submit(chosen_at_run_time, 4).get(), 8);
  EXPECT_EQ(pool.submit([](int (*f)(int), int n) { return f(n); }, &twice, 4).get(), 8);
  pool.submit(nothing).get();
}

TEST(ProcessPool, ArgumentsTravelAsWhatTheFunctionTakes) {
  process_pool_executor pool{1};
  EXPECT_EQ(pool.submit(length, "literal").get(), 7u);
  EXPECT_EQ(pool.submit(length, std::string(1000, 'x')).get(), 1000u);
  EXPECT_EQ(pool.submit(join, std::vector<std::string>{"a", "b"}, "-").get(), "a-b");
  EXPECT_EQ(pool.submit([](std::int64_t n) { return n; }, 3).get(), 3);
  EXPECT_EQ(pool.submit([](auto text) { return text.size(); }, "four").get(), 4u);
}

// Sizes on both sides of every border: slot, arena, memfd of its own.
TEST(ProcessPool, MessagesOfAnySizeGoBothWays) {
  process_pool_executor pool{2};
  const auto back = [](std::string s) {
    std::reverse(s.begin(), s.end());
    return s;
  };
  std::vector<std::pair<std::string, plait::future<std::string>>> calls;
  for (std::size_t n : {0, 1, 199, 200, 201, 208, 209, 4096, 32'759, 32'760, 32'761, 32'768,
                        100'000, 131'072, 1'000'000, 9'000'000}) {
    std::string text(n, 'a');
    for (std::size_t i = 0; i < n; ++i) text[i] = static_cast<char>('a' + i % 23);
    calls.emplace_back(text, pool.submit(back, text));
  }
  for (auto& [text, f] : calls) {
    std::reverse(text.begin(), text.end());
    EXPECT_EQ(f.get(), text) << text.size();
  }
}

double sum_where_it_lies(char, std::span<const double> values) {
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(values.data()) % alignof(double), 0u);
  return std::accumulate(values.begin(), values.end(), 0.0);
}
TEST(ProcessPool, ASpanParameterIsReadWhereItArrived) {
  process_pool_executor pool{1};
  for (const std::size_t n : {0, 1, 20, 24, 25, 26, 1000, 4'000, 5'000, 100'000}) {
    const std::vector<double> values(n, 0.5);
    EXPECT_EQ(pool.submit(sum_where_it_lies, 'x', values).get(), 0.5 * static_cast<double>(n));
    EXPECT_EQ(pool.submit(sum_where_it_lies, 'x', std::span(values)).get(),
              0.5 * static_cast<double>(n));
  }
}

// Memory of answered messages is used again, in either order of sizes, and each call has its own.
TEST(ProcessPool, LargeMessagesInWarmMemoryKeepTheirOwnContents) {
  process_pool_executor pool{2};
  std::mt19937 random(17);
  std::vector<plait::future<std::size_t>> calls;
  std::vector<std::size_t> expected;
  for (int i = 0; i < 300; ++i) {
    const std::size_t n = 40'000 + random() % 3'000'000;
    const char c = static_cast<char>('a' + i % 26);
    expected.push_back(n + static_cast<std::size_t>(c));
    calls.push_back(pool.submit(
        [](std::string s, char what) {
          const bool all = s.find_first_not_of(what) == std::string::npos;
          return all ? s.size() + static_cast<std::size_t>(what) : 0;
        },
        std::string(n, c), c));
    if (i % 5 == 4) calls[static_cast<std::size_t>(i)].wait();
    if (i % 7 == 6) static_cast<void>(calls[static_cast<std::size_t>(i)].cancel());
  }
  for (std::size_t i = 0; i < calls.size(); ++i) {
    calls[i].wait();
    if (calls[i].cancelled()) continue;
    EXPECT_EQ(calls[i].get(), expected[i]);
  }
}

// More large calls than may hold a descriptor, and arenas that run full again and again.
TEST(ProcessPool, ManyLargeCallsAtOnce) {
  process_pool_executor pool{2};
  std::vector<plait::future<std::vector<int>>> calls;
  for (int i = 0; i < 400; ++i)
    calls.push_back(pool.submit([](std::vector<int> v) { return v; },
                                std::vector<int>(i % 2 == 0 ? 7'000 : 12'000, i)));
  for (int i = 0; i < 400; ++i) {
    const auto& v = calls[static_cast<std::size_t>(i)].get();
    ASSERT_EQ(v.size(), i % 2 == 0 ? 7'000u : 12'000u);
    ASSERT_EQ(std::count(v.begin(), v.end(), i), static_cast<std::ptrdiff_t>(v.size()));
  }
}

TEST(ProcessPool, MapKeepsOrderAndChunksTravelAsOneCall) {
  process_pool_executor pool{2};
  std::vector<int> in(1000), expected;
  std::iota(in.begin(), in.end(), 0);
  for (int i : in) expected.push_back(2 * i);
  EXPECT_EQ(pool.map(twice, in).to_vector(), expected);
  EXPECT_EQ(pool.map(twice, in, {.chunksize = 64}).to_vector(), expected);
  EXPECT_EQ(pool.map(twice, in, {.chunksize = 7, .buffersize = 1}).to_vector(), expected);
  const auto odd = pool.map([](int n) { return n % 2 != 0; }, in, {.chunksize = 10}).to_vector();
  EXPECT_EQ(std::count(odd.begin(), odd.end(), true), 500);
}

struct own_error : std::runtime_error {
  using runtime_error::runtime_error;
};

TEST(ProcessPool, StandardExceptionsArriveAsThemselves) {
  process_pool_executor pool{1};
  const auto check = [&]<class E>(void (*thrower)(), E*, const std::string& what) {
    try {
      pool.submit(thrower).get();
      ADD_FAILURE() << "nothing was thrown";
    } catch (const std::exception& e) {
      EXPECT_EQ(typeid(e), typeid(E)) << e.what();
      EXPECT_EQ(std::string(e.what()), what);
    }
  };
  check([] { throw std::out_of_range("index 7"); }, static_cast<std::out_of_range*>(nullptr),
        "index 7");
  check([] { throw std::invalid_argument(""); }, static_cast<std::invalid_argument*>(nullptr), "");
  check([] { static_cast<void>(std::vector<int>().at(1)); },
        static_cast<std::out_of_range*>(nullptr),
        "vector::_M_range_check: __n (which is 1) >= this->size() (which is 0)");
  check([] { throw std::bad_alloc(); }, static_cast<std::bad_alloc*>(nullptr), "std::bad_alloc");
  check([] { throw plait::timeout_error("late"); }, static_cast<plait::timeout_error*>(nullptr),
        "late");
  check([] { throw std::system_error(EPERM, std::generic_category(), "door"); },
        static_cast<std::system_error*>(nullptr), "door: Operation not permitted");
}

TEST(ProcessPool, OtherExceptionsArriveAsRemoteError) {
  process_pool_executor pool{1};
  try {
    pool.submit([] { throw own_error("mine"); }).get();
    FAIL();
  } catch (const plait::remote_error& e) {
    EXPECT_NE(e.type().find("own_error"), std::string::npos) << e.type();
    EXPECT_STREQ(e.what(), "mine");
  }
  try {
    pool.submit([] { throw 42; }).get();
    FAIL();
  } catch (const plait::remote_error& e) {
    EXPECT_EQ(e.type(), "int");
  }
  try {
    pool.submit([] {
          try {
            throw std::runtime_error("inner");
          } catch (...) {
            std::throw_with_nested(own_error("outer"));
          }
        })
        .get();
    FAIL();
  } catch (const plait::remote_error& e) {
    EXPECT_STREQ(e.what(), "outer");
    EXPECT_NE(e.traceback().find("std::runtime_error: inner"), std::string::npos);
  }
}

TEST(ProcessPool, ALongExceptionArrivesWhole) {
  process_pool_executor pool{1};
  try {
    pool.submit([] { throw std::runtime_error(std::string(100'000, 'w')); }).get();
    FAIL();
  } catch (const std::runtime_error& e) {
    EXPECT_EQ(std::string(e.what()).size(), 100'000u);
  }
}

TEST(ProcessPool, MaxTasksPerChildReplacesTheWorker) {
  process_pool_executor pool{{.max_workers = 1, .max_tasks_per_child = 3}};
  std::map<int, int> runs;
  for (int pid : pool.map([](int) { return getpid(); }, std::vector<int>(30)).to_vector())
    ++runs[pid];
  // A call that a worker has not begun may go to its successor, which is up already: then it runs fewer.
  EXPECT_GE(runs.size(), 10u);
  EXPECT_LE(runs.size(), 15u);
  for (const auto& [pid, n] : runs) EXPECT_LE(n, 3) << pid;
}

// CPython gh-115634: a pool with a task limit hung when calls came one at a time.
TEST(ProcessPool, MaxTasksPerChildOfOneOneCallAtATime) {
  process_pool_executor pool{{.max_workers = 2, .max_tasks_per_child = 1}};
  std::set<int> pids;
  for (int i = 0; i < 50; ++i) pids.insert(pool.submit(own_pid).get());
  EXPECT_EQ(pids.size(), 50u);
}

int initialized = 0;
TEST(ProcessPool, InitializerRunsInEveryWorkerFirst) {
  process_pool_executor pool{{.max_workers = 2, .initializer = [] { initialized = 7; }}};
  for (int i = 0; i < 10; ++i) EXPECT_EQ(pool.submit([] { return initialized; }).get(), 7);
  EXPECT_EQ(initialized, 0);
}

// Which has a number and no name.
TEST(ProcessPool, AWorkerThatDiesOfARealTimeSignalAtItsStartIsToldOf) {
  process_pool_executor pool{{.max_workers = 1, .initializer = [] { raise(SIGRTMAX - 1); }}};
  try {
    pool.submit(twice, 1).get();
    FAIL();
  } catch (const plait::broken_executor& e) {
    EXPECT_NE(std::string(e.what()).find("signal " + std::to_string(SIGRTMAX - 1)),
              std::string::npos)
        << e.what();
  }
}

TEST(ProcessPool, InitializerThatThrowsBreaksThePoolWithItsReason) {
  process_pool_executor pool{{.initializer = [] { throw std::runtime_error("no licence"); }}};
  auto waiting = pool.submit(twice, 1);
  try {
    waiting.get();
    FAIL();
  } catch (const plait::initializer_failed& e) {
    EXPECT_NE(std::string(e.what()).find("no licence"), std::string::npos) << e.what();
  }
  EXPECT_THROW(pool.submit(twice, 1), plait::initializer_failed);
}

TEST(ProcessPool, InitializerThatDiesBreaksThePoolWithItsReason) {
  process_pool_executor pool{{.initializer = [] { raise(SIGKILL); }}};
  try {
    pool.submit(twice, 1).get();
    FAIL();
  } catch (const plait::initializer_failed& e) {
    EXPECT_NE(std::string(e.what()).find("signal 9"), std::string::npos) << e.what();
  }
}

TEST(ProcessPool, ShutdownRunsWhatIsQueued) {
  process_pool_executor pool{1};
  std::vector<plait::future<int>> calls;
  for (int i = 0; i < 100; ++i) calls.push_back(pool.submit(twice, i));
  pool.shutdown();
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(calls[static_cast<std::size_t>(i)].done());
    EXPECT_EQ(calls[static_cast<std::size_t>(i)].get(), 2 * i);
  }
  EXPECT_THROW(pool.submit(twice, 1), plait::executor_shutdown);
  EXPECT_TRUE(pool.worker_pids().empty());
  pool.shutdown();  // again: nothing to do
}

// Waits in a worker for a file that the test creates: no clock decides the outcome.
int wait_for_file(std::string started, std::string go) {
  close(open(started.c_str(), O_CREAT | O_WRONLY, 0600));
  while (access(go.c_str(), F_OK) != 0) std::this_thread::yield();
  return 1;
}
struct gate {
  gate() {
    char name[] = "/tmp/plait-gate-XXXXXX";
    folder = mkdtemp(name);
  }
  ~gate() { std::filesystem::remove_all(folder); }
  void await_start() const {
    while (!std::filesystem::exists(started())) std::this_thread::yield();
  }
  void open_it() const { close(::open(go().c_str(), O_CREAT | O_WRONLY, 0600)); }
  std::string started() const { return folder + "/started"; }
  std::string go() const { return folder + "/go"; }
  std::string folder;
};

TEST(ProcessPool, ShutdownCancelsWhatHasNotBegunWhenAsked) {
  const gate g;
  process_pool_executor pool{1};
  auto running = pool.submit(wait_for_file, g.started(), g.go());
  std::vector<plait::future<int>> queued;
  for (int i = 0; i < 100; ++i) queued.push_back(pool.submit(twice, i));
  g.await_start();
  std::thread closer(
      [&] { pool.shutdown({.pending = plait::shutdown_options::pending_calls::cancel}); });
  for (auto& f : queued) f.wait();
  g.open_it();
  closer.join();
  EXPECT_EQ(running.get(), 1);
  for (auto& f : queued) EXPECT_TRUE(f.cancelled());
}

TEST(ProcessPool, CancelTakesAQueuedCallBackAndNeverARunningOne) {
  const gate g;
  process_pool_executor pool{1};
  auto running = pool.submit(wait_for_file, g.started(), g.go());
  auto next = pool.submit(twice, 1);
  auto later = pool.submit(twice, 2);
  auto last = pool.submit(twice, 3);
  g.await_start();
  EXPECT_FALSE(running.cancel());
  EXPECT_TRUE(next.cancel());  // lies in the worker's channel already
  EXPECT_TRUE(later.cancel());
  EXPECT_TRUE(next.cancelled());
  EXPECT_THROW(next.get(), plait::cancelled_error);
  EXPECT_FALSE(next.cancel());
  g.open_it();
  EXPECT_EQ(running.get(), 1);
  EXPECT_EQ(last.get(), 6);
  EXPECT_FALSE(last.cancel());
}

// A call queued behind a long one does not wait for it while another worker is idle.
TEST(ProcessPool, QueuedCallsMoveToAnIdleWorker) {
  const gate g;
  process_pool_executor pool{2};
  auto running = pool.submit(wait_for_file, g.started(), g.go());
  g.await_start();
  std::vector<plait::future<int>> others;
  for (int i = 0; i < 50; ++i) others.push_back(pool.submit(twice, i));
  for (int i = 0; i < 50; ++i) EXPECT_EQ(others[static_cast<std::size_t>(i)].get(), 2 * i);
  EXPECT_FALSE(running.done());
  g.open_it();
  EXPECT_EQ(running.get(), 1);
}

TEST(ProcessPool, ManyThreadsSubmitAndWaitAtOnce) {
  process_pool_executor pool{2};
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 6; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500; ++i)
        wrong += pool.submit(twice, t * 1000 + i).get() != 2 * (t * 1000 + i);
      std::vector<plait::future<int>> all;
      for (int i = 0; i < 500; ++i) all.push_back(pool.submit(twice, i));
      for (int i = 0; i < 500; ++i) wrong += all[static_cast<std::size_t>(i)].get() != 2 * i;
    });
  for (auto& t : threads) t.join();
  EXPECT_EQ(wrong, 0);
}

TEST(ProcessPool, AsCompletedWaitAndCallbacks) {
  process_pool_executor pool{2};
  std::vector<plait::future<int>> all;
  for (int i = 0; i < 200; ++i) all.push_back(pool.submit(twice, i));
  int sum = 0;
  for (const auto& f : plait::as_completed(all)) sum += f.get();
  EXPECT_EQ(sum, 199 * 200);
  std::atomic<int> called{0};
  auto f = pool.submit(twice, 5);
  f.add_done_callback([&](plait::future<int> done) { called = done.get(); });
  pool.shutdown();
  EXPECT_EQ(called, 10);
}

TEST(ProcessPool, ACallbackMayShutThePoolDown) {
  process_pool_executor pool{1};
  plait::promise<void> closed;
  auto f = pool.submit(twice, 5);
  f.add_done_callback([&](const plait::future<int>&) {
    pool.shutdown();
    closed.set_value();
  });
  closed.get_future().get();
  EXPECT_THROW(pool.submit(twice, 1), plait::executor_shutdown);
}

int sum_in_a_nested_pool(int n) {
  process_pool_executor inner{1};
  std::vector<int> numbers(static_cast<std::size_t>(n), 1);
  int sum = 0;
  for (int i : inner.map([](int i) { return i + 1; }, numbers)) sum += i;
  return sum;
}
TEST(ProcessPool, PoolsNest) {
  process_pool_executor pool{2};
  EXPECT_EQ(pool.map(sum_in_a_nested_pool, std::vector<int>{3, 4, 5}).to_vector(),
            (std::vector<int>{6, 8, 10}));
}

TEST(ProcessPool, RefusesZeroWorkers) {
  EXPECT_THROW(process_pool_executor{0}, std::invalid_argument);
  EXPECT_THROW(process_pool_executor{-1}, std::invalid_argument);
}

process_pool_executor static_pool{1};
TEST(ProcessPool, AStaticPoolWorksAndIsRefusedInsideItsOwnWorkers) {
  EXPECT_EQ(static_pool.submit(twice, 4).get(), 8);
  if (static_pool.statistics().start == plait::start_method::fork)
    GTEST_SKIP() << "workers were forked before it was there";
  const auto said = static_pool.submit([]() -> std::string {
    try {
      static_pool.submit(twice, 1);
      return "it ran";
    } catch (const plait::broken_executor& e) {
      return e.what();
    }
  });
  EXPECT_NE(said.get().find("pools of static duration"), std::string::npos) << said.get();
}

}  // namespace

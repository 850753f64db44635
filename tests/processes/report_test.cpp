// What a running call says of itself: in order, each once, before the result, also before a death.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "plait/coroutines.hpp"
#include "plait/processes.hpp"
#include "plait/testing/gate.hpp"

using namespace std::chrono_literals;
using plait::process_pool_executor;
using plait::sandbox;
using plait::testing::gate;
namespace this_call = plait::this_call;

namespace {

int counts(int n) {
  for (int i = 0; i < n; ++i) this_call::report(std::to_string(i));
  return n;
}
int says_last_words(int signal) {
  this_call::report("about to die");
  kill(getpid(), signal);
  for (;;) pause();
}
void reports_for_ever() {
  for (;;) this_call::report("still here");
}

// What was heard of one call.
struct listener {
  std::mutex mutex;
  std::vector<std::string> texts;

  plait::process_call_options options() {
    return {.on_report = [this](std::string_view text) {
      const std::lock_guard hold(mutex);
      texts.emplace_back(text);
    }};
  }
  std::vector<std::string> heard() {
    const std::lock_guard hold(mutex);
    return texts;
  }
};
std::vector<std::string> numbers(int n) {
  std::vector<std::string> all;
  for (int i = 0; i < n; ++i) all.push_back(std::to_string(i));
  return all;
}

TEST(ReportOfACall, IsHeardInOrderBeforeItsResult) {
  listener l;
  process_pool_executor pool{2};
  for (int i = 0; i < 50; ++i) {
    const auto f = pool.with(l.options()).submit(counts, 20);
    EXPECT_EQ(f.get(), 20);
    ASSERT_EQ(l.heard(), numbers(20)) << "the result came before a report";
    l.texts.clear();
  }
}

TEST(ReportOfACall, GoesToItsOwnListener) {
  std::vector<listener> all(40);
  process_pool_executor pool{2};
  std::vector<plait::future<int>> calls;
  for (std::size_t i = 0; i < all.size(); ++i)
    calls.push_back(pool.with(all[i].options()).submit(counts, static_cast<int>(i)));
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(calls[i].get(), static_cast<int>(i));
    EXPECT_EQ(all[i].heard(), numbers(static_cast<int>(i)));
  }
}

TEST(ReportOfACall, IsBytesUpToItsLimit) {
  std::string heard;
  process_pool_executor pool{1};
  const auto f = pool.with({.on_report = [&](std::string_view text) { heard = text; }}).submit([] {
    this_call::report(std::string(this_call::report_limit, '\0'));
  });
  f.get();
  EXPECT_EQ(heard, std::string(65'536, '\0'));
  const auto empty =
      pool.with({.on_report = [&](std::string_view text) { heard = text; }}).submit([] {
        this_call::report("");
      });
  empty.get();
  EXPECT_EQ(heard, "");
  const auto too_long = pool.submit([] { this_call::report(std::string(65'537, 'x')); });
  EXPECT_THROW(too_long.get(), std::length_error);
}

TEST(ReportOfACall, ThatNobodyHearsIsNothing) {
  this_call::report("outside of calls");
  process_pool_executor pool{1};
  EXPECT_EQ(pool.submit(counts, 1000).get(), 1000);
  listener l;
  pool.with(l.options()).submit(counts, 1).get();
  EXPECT_EQ(pool.submit(counts, 1000).get(), 1000);
  EXPECT_EQ(l.heard(), numbers(1));
}

// Its worker waits: nothing is lost, and nothing piles up.
TEST(ReportOfACall, WaitsForAListenerThatTakesLong) {
  gate g;
  std::atomic<int> heard = 0;
  process_pool_executor pool{1};
  const auto f = pool.with({.on_report =
                                [&](std::string_view) {
                                  if (heard++ == 0) gate::pass(g.name());
                                }})
                     .submit(counts, 100);
  g.wait_for_arrival();
  EXPECT_EQ(heard, 1);
  EXPECT_FALSE(f.wait_for(20ms));
  g.open();
  EXPECT_EQ(f.get(), 100);
  EXPECT_EQ(heard, 100);
}

TEST(ReportOfACall, IsHeardAlsoIfItsWorkerDies) {
  process_pool_executor pool{2};
  for (int i = 0; i < 10; ++i) {
    listener l;
    const auto f = pool.with(l.options()).submit(says_last_words, SIGKILL);
    EXPECT_THROW(f.get(), plait::worker_crashed);
    EXPECT_EQ(l.heard(), std::vector<std::string>{"about to die"});
  }
}

TEST(ReportOfACall, ThatBeginsAgainBeginsAgain) {
  listener l;
  auto options = l.options();
  options.retries = 2;
  process_pool_executor pool{1};
  EXPECT_THROW(pool.with(options).submit(says_last_words, SIGKILL).get(), plait::worker_crashed);
  EXPECT_EQ(l.heard().size(), 3u);
}

TEST(ReportOfACall, DoesNotHoldUpTheEndOfOne) {
  std::atomic<int> heard = 0;
  const auto listens = [&](std::string_view) { ++heard; };
  process_pool_executor pool{1};
  EXPECT_THROW(pool.with({.timeout = 50ms, .on_report = listens}).submit(reports_for_ever).get(),
               plait::task_timeout);
  EXPECT_GT(heard, 0);
  const auto killed = pool.with({.on_report = listens}).submit(reports_for_ever);
  heard = 0;
  while (heard == 0) std::this_thread::yield();
  EXPECT_TRUE(pool.kill(killed));
  EXPECT_THROW(killed.get(), plait::task_killed);
  const auto last = pool.with({.on_report = listens}).submit(reports_for_ever);
  heard = 0;
  while (heard == 0) std::this_thread::yield();
  pool.terminate_workers();
  EXPECT_THROW(last.get(), plait::task_killed);
}

TEST(ReportOfACall, MayComeFromAnyOfItsThreads) {
  listener l;
  process_pool_executor pool{1};
  pool.with(l.options())
      .submit([] {
        std::vector<std::thread> all;
        for (int i = 0; i < 4; ++i) all.emplace_back(counts, 50);
        for (auto& each : all) each.join();
      })
      .get();
  EXPECT_EQ(l.heard().size(), 200u);
}

TEST(ReportOfACall, OfAThreadThatOutlivesItsCallHarmsNobody) {
  listener l;
  process_pool_executor pool{1};
  pool.with(l.options()).submit([] { std::thread(reports_for_ever).detach(); }).get();
  for (int i = 0; i < 200; ++i) EXPECT_EQ(pool.submit(counts, 3).get(), 3);
  listener other;
  for (int i = 0; i < 200; ++i) EXPECT_EQ(pool.with(other.options()).submit(counts, 3).get(), 3);
  pool.terminate_workers();
}

TEST(ReportOfACall, OfAProcessThatItForkedIsNothing) {
  listener l;
  process_pool_executor pool{1};
  pool.with(l.options())
      .submit([] {
        const pid_t child = fork();
        if (child == 0) {
          this_call::report("from the child");
          _exit(0);
        }
        waitpid(child, nullptr, 0);
        this_call::report("from the call");
      })
      .get();
  EXPECT_EQ(l.heard(), std::vector<std::string>{"from the call"});
}

TEST(ReportOfACall, LeavesASandbox) {
  listener l;
  process_pool_executor pool{{.max_workers = 1, .sandbox = sandbox{}}};
  EXPECT_EQ(pool.with(l.options()).submit(counts, 100).get(), 100);
  EXPECT_EQ(l.heard(), numbers(100));
}

std::atomic<int> unhandled = 0;
TEST(ReportOfACall, WhoseListenerThrowsIsReported) {
  unhandled = 0;
  const auto before = plait::set_unhandled_exception_handler(
      [](const plait::unhandled_exception&) noexcept { ++unhandled; });
  {
    process_pool_executor pool{1};
    const auto throws = [](std::string_view) { throw std::runtime_error("from a listener"); };
    EXPECT_EQ(pool.with({.on_report = throws}).submit(counts, 3).get(), 3);
    EXPECT_EQ(unhandled, 3);
  }
  plait::set_unhandled_exception_handler(before);
}

TEST(ReportOfACall, MayStopItOrSubmitMore) {
  process_pool_executor pool{2};
  std::vector<plait::future<int>> more;
  const auto submits = [&](std::string_view) { more.push_back(pool.submit(counts, 7)); };
  EXPECT_EQ(pool.with({.on_report = submits}).submit(counts, 3).get(), 3);
  ASSERT_EQ(more.size(), 3u);
  for (const auto& each : more) EXPECT_EQ(each.get(), 7);
  const auto shuts_down = [&](std::string_view) { pool.shutdown(); };
  EXPECT_EQ(pool.with({.on_report = shuts_down}).submit(counts, 3).get(), 3);
  EXPECT_THROW(pool.submit(counts, 1), plait::executor_shutdown);
}

// The first of the two is the pool's destructor.
TEST(ReportOfACall, AShutdownFromItsListenerLeavesTheWaitingToOthers) {
  gate g;
  std::atomic<int> heard = 0;
  plait::future<> f;
  {
    process_pool_executor pool{1};
    const auto shuts_down = [&](std::string_view) {
      if (heard++ == 0) pool.shutdown();
    };
    f = pool.with({.on_report = shuts_down})
            .submit(
                [](std::string gate_name) {
                  this_call::report("first");
                  gate::pass(gate_name);
                  this_call::report("second");
                },
                g.name());
    g.wait_for_arrival();
    while (heard == 0) std::this_thread::yield();
    g.open();
  }
  EXPECT_TRUE(f.done());
  EXPECT_EQ(heard, 2);
}

TEST(ReportOfACall, ItsListenerMayHoldThePool) {
  for (int i = 0; i < 100; ++i) {
    std::atomic<int> heard = 0;
    auto pool = std::make_shared<process_pool_executor>(1);
    auto f =
        pool->with({.on_report = [&heard, pool](std::string_view) { ++heard; }}).submit(counts, 2);
    if (i % 2 == 0) {
      EXPECT_EQ(f.get(), 2);
    }
    pool.reset();
    f = {};
    while (heard != 2) std::this_thread::yield();
  }
}

TEST(ReportOfACall, ReachesATaskOfALoop) {
  process_pool_executor pool{1};
  const auto heard = plait::run([](process_pool_executor& p) -> plait::task<std::string> {
    plait::queue<std::string> texts;
    auto& loop = plait::event_loop::current();
    plait::process_call_options options;
    options.on_report = [&](std::string_view text) {
      static_cast<void>(loop.submit([&texts, t = std::string(text)] { texts.put_nowait(t); }));
    };
    const auto call = p.with(options).submit(counts, 3);
    std::string all;
    for (int i = 0; i < 3; ++i) all += co_await texts.get();
    const int n = co_await call;
    co_return all + " of " + std::to_string(n);
  }(pool));
  EXPECT_EQ(heard, "012 of 3");
}

}  // namespace

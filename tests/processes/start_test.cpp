// What holds however a worker comes to be, and what only holds for one start method. The other
// suites run over all methods as well (ON_EVERY_START).
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdio_ext.h>
#include <sys/personality.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "plait/processes.hpp"
#include "plait/testing/gate.hpp"

namespace {

using plait::process_pool_executor;
using plait::start_method;

int twice(int n) { return 2 * n; }
int hang(std::string gate_name) {
  plait::testing::gate::pass(gate_name);
  for (;;) pause();
}
int initialised = 0;
void initialize() { ++initialised; }
int memory = 1;

bool is_tsan() {
#if defined(__SANITIZE_THREAD__)
  return true;
#else
  return false;
#endif
}

class Start : public testing::TestWithParam<start_method> {
 protected:
  void SetUp() override {
    if (GetParam() == start_method::fork && is_tsan()) GTEST_SKIP() << "refused under TSan";
  }
  static plait::process_pool_options options(std::size_t workers = 1) {
    return {.max_workers = workers, .start = GetParam()};
  }
};

TEST_P(Start, ResultsAndExceptionsComeBack) {
  process_pool_executor pool{options(2)};
  std::vector<plait::future<int>> calls;
  for (int i = 0; i < 100; ++i) calls.push_back(pool.submit(twice, i));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(calls[static_cast<std::size_t>(i)].get(), 2 * i);
  EXPECT_THROW(pool.submit([]() -> int { throw std::range_error("no"); }).get(), std::range_error);
  EXPECT_EQ(pool.statistics().start, GetParam());
  const std::string large(300'000, 'x');
  EXPECT_EQ(pool.submit([](std::string s) { return s; }, large).get(), large);
}

TEST_P(Start, ACrashCostsItsCallAndSaysWhatItWas) {
  process_pool_executor pool{options()};
  const auto crash = pool.submit([]() -> int {
    write(STDERR_FILENO, "last words\n", 11);
    _exit(7);
  });
  const auto behind = pool.submit(twice, 2);
  try {
    crash.get();
    ADD_FAILURE();
  } catch (const plait::worker_crashed& e) {
    EXPECT_EQ(e.exit_code(), 7);
    EXPECT_NE(e.stderr_tail().find("last words"), std::string::npos);
  }
  EXPECT_EQ(behind.get(), 4);
  try {
    pool.submit([]() -> int { return raise(SIGKILL); }).get();
    ADD_FAILURE();
  } catch (const plait::worker_crashed& e) {
    EXPECT_EQ(e.signal(), SIGKILL);
  }
  EXPECT_EQ(pool.submit(twice, 3).get(), 6);
}

TEST_P(Start, ARunningCallIsKilledAndNobodyElses) {
  process_pool_executor pool{options()};
  const plait::testing::gate gate;
  const auto hangs = pool.submit(hang, gate.name());
  gate.wait_for_arrival();
  gate.open();
  const auto behind = pool.submit(twice, 2);
  EXPECT_TRUE(pool.kill(hangs));
  EXPECT_THROW(hangs.get(), plait::task_killed);
  EXPECT_EQ(behind.get(), 4);
}

TEST_P(Start, ATimeoutEndsACall) {
  process_pool_executor pool{options()};
  const auto hangs = pool.with({.timeout = std::chrono::milliseconds(5)}).submit([]() -> int {
    for (;;) pause();
  });
  EXPECT_THROW(hangs.get(), plait::task_timeout);
  EXPECT_EQ(pool.submit(twice, 2).get(), 4);
}

TEST_P(Start, PoolsNest) {
  process_pool_executor pool{options()};
  const auto inner = [](start_method method) {
    process_pool_executor own{{.max_workers = 1, .start = method}};
    try {
      own.submit([]() -> int { _exit(2); }).get();
    } catch (const plait::worker_crashed& e) {
      if (e.exit_code() == 2) return own.submit(twice, 4).get();
    }
    return 0;
  };
  for (const auto method : {start_method::forkserver, start_method::spawn, start_method::fork}) {
    if (method == start_method::fork && is_tsan()) continue;
    EXPECT_EQ(pool.submit(inner, method).get(), 8) << static_cast<int>(method);
  }
}

TEST_P(Start, ANestedForkSaysWhereItsWorkersCrash) {
  if (is_tsan()) GTEST_SKIP();
  process_pool_executor pool{options()};
  const auto inner = [] {
    process_pool_executor own{{.max_workers = 1, .start = start_method::fork}};
    try {
      own.submit([]() -> int { return raise(SIGSEGV); }).get();
    } catch (const plait::worker_crashed& e) {
      return e.signal();
    }
    return 0;
  };
#if defined(__SANITIZE_ADDRESS__)
  EXPECT_EQ(pool.submit(inner).get(), 0);
#else
  EXPECT_EQ(pool.submit(inner).get(), SIGSEGV);
#endif
}

TEST_P(Start, TheInitializerRunsOnceInEachWorker) {
  auto with = options();
  with.initializer = initialize;
  with.max_tasks_per_child = 2;
  process_pool_executor pool{with};
  for (int i = 0; i < 6; ++i) EXPECT_EQ(pool.submit([] { return initialised; }).get(), 1);
  EXPECT_GE(pool.statistics().started, 3u);
  EXPECT_EQ(initialised, 0);
}

TEST_P(Start, AnInitializerThatThrowsFailsThePool) {
  auto with = options();
  with.initializer = [] { throw std::range_error("not today"); };
  process_pool_executor pool{with};
  try {
    pool.submit(twice, 1).get();
    ADD_FAILURE();
  } catch (const plait::initializer_failed& e) {
    EXPECT_NE(std::string(e.what()).find("not today"), std::string::npos);
  }
}

TEST_P(Start, AWorkerHasNoDescriptorOfOurs) {
  std::vector<int> ours;
  for (int i = 0; i < 20; ++i) ours.push_back(open("/dev/null", O_WRONLY));  // not close-on-exec
  process_pool_executor pool{options()};
  const auto links = pool.submit([] {
    int to_null = 0;
    for (const auto& e : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code gone;
      to_null += std::filesystem::read_symlink(e.path(), gone) == "/dev/null";
    }
    return to_null;
  });
  EXPECT_EQ(links.get(), 1);  // standard input
  for (const int fd : ours) close(fd);
}

TEST_P(Start, StandardInputIsEmptyAndOutputIsOurs) {
  std::printf("not yet flushed");  // and not to be printed by a worker, too
  process_pool_executor pool{options()};
  EXPECT_EQ(pool.submit([] { return std::getchar(); }).get(), EOF);
  const auto output = [] { return std::filesystem::read_symlink("/proc/self/fd/1").string(); };
  EXPECT_EQ(pool.submit(output).get(), output());
  EXPECT_EQ(pool.submit([] { return static_cast<int>(__fpending(stdout)); }).get(), 0);
  std::printf("\n");
}

TEST_P(Start, SignalsOfTheKeyboardAreIgnoredAndHandlersOfOursDoNotRun) {
  struct sigaction before {};
  struct sigaction ours {};
  ours.sa_handler = [](int) {};
  sigaction(SIGTERM, &ours, &before);
  process_pool_executor pool{options()};
  EXPECT_EQ(pool.submit([] { return raise(SIGINT); }).get(), 0);
  try {
    pool.submit([]() -> int { return raise(SIGTERM); }).get();
    ADD_FAILURE();
  } catch (const plait::worker_crashed& e) {
    EXPECT_EQ(e.signal(), SIGTERM);
  }
  const auto mask = pool.submit([] {
    sigset_t blocked;
    sigprocmask(SIG_SETMASK, nullptr, &blocked);
    int n = 0;
    for (int s = 1; s < NSIG; ++s) n += sigismember(&blocked, s) == 1;
    return n;
  });
  EXPECT_EQ(mask.get(), 0);
  sigaction(SIGTERM, &before, nullptr);
}

TEST_P(Start, AWorkerSeesTheProgramsMemoryOnlyAfterAFork) {
  memory = 2;
  process_pool_executor pool{options()};
  memory = 3;
  EXPECT_EQ(pool.submit([] { return memory; }).get(), GetParam() == start_method::fork ? 2 : 1);
  memory = 1;
}

TEST_P(Start, ASupervisorThatIsKilledIsReplaced) {
  process_pool_executor pool{options()};
  const int supervisor = pool.submit(getppid).get();
  kill(supervisor, SIGKILL);
  int now = supervisor;
  while (now == supervisor) {
    try {
      now = pool.submit(getppid).get();
    } catch (const plait::supervisor_lost&) {
    }
  }
  EXPECT_EQ(pool.submit(twice, 2).get(), 4);
}

INSTANTIATE_TEST_SUITE_P(Methods, Start,
                         testing::Values(start_method::forkserver, start_method::spawn,
                                         start_method::fork),
                         [](const auto& method) -> std::string {
                           switch (method.param) {
                             case start_method::forkserver:
                               return "forkserver";
                             case start_method::spawn:
                               return "spawn";
                             default:
                               return "fork";
                           }
                         });

// What is left of our objects in a forked worker must not write into files of the worker's own.
TEST(StartFork, DescriptorsInTheProgramsMemoryLeadNowhere) {
  if (is_tsan()) GTEST_SKIP() << "refused under TSan";
  std::vector<int> ours;
  for (int i = 0; i < 20; ++i) ours.push_back(open("/dev/null", O_WRONLY));
  process_pool_executor pool{{.max_workers = 1, .start = start_method::fork}};
  const auto dead = pool.submit(
      [](std::vector<int> theirs) {
        return std::count_if(theirs.begin(), theirs.end(),
                             [](int fd) { return write(fd, "x", 1) < 0 && errno == EBADF; });
      },
      ours);
  EXPECT_EQ(dead.get(), 20);
  for (const int fd : ours) close(fd);
}

bool addresses_are_random() {
  std::ifstream setting("/proc/sys/kernel/randomize_va_space");
  int level = 0;
  setting >> level;
  return level != 0 && (personality(0xffffffff) & ADDR_NO_RANDOMIZE) == 0;
}

TEST(StartSpawn, EachWorkerHasALayoutOfItsOwn) {
  if (!addresses_are_random()) GTEST_SKIP() << "nothing has";
  process_pool_executor pool{
      {.max_workers = 1, .start = start_method::spawn, .max_tasks_per_child = 1}};
  const auto place = [] {
    int on_the_stack = 0;
    return reinterpret_cast<std::uintptr_t>(&on_the_stack);
  };
  EXPECT_NE(pool.submit(place).get(), pool.submit(place).get());
}

TEST(StartFork, IsRefusedForASandbox) {
  const plait::process_pool_options both{.start = start_method::fork, .sandbox = plait::sandbox{}};
  EXPECT_THROW(process_pool_executor{both}, std::invalid_argument);
}

TEST(StartFork, IsRefusedUnderThreadSanitizer) {
  if (!is_tsan()) GTEST_SKIP() << "not here";
  try {
    process_pool_executor pool{{.max_workers = 1, .start = start_method::fork}};
    ADD_FAILURE();
  } catch (const plait::broken_executor& e) {
    EXPECT_NE(std::string(e.what()).find("ThreadSanitizer"), std::string::npos);
  }
}

}  // namespace

#include <plait/processes.hpp>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <set>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool is_sanitized = true;
#else
constexpr bool is_sanitized = false;
#endif

namespace {

using plait::control_group;
using plait::crash_cause;
using plait::limits_unavailable;
using plait::process_pool_executor;
using plait::process_pool_options;
using plait::worker_limits;
using namespace std::chrono_literals;

constexpr std::size_t mebibyte = 1 << 20;

process_pool_options limited(worker_limits limits) {
  return {.max_workers = 1, .limits = std::move(limits)};
}

plait::worker_crashed crash_of(plait::future<int> f) {
  try {
    f.get();
  } catch (const plait::worker_crashed& e) {
    return e;
  }
  throw std::logic_error("the call did not crash");
}

int pid_of(int) { return getpid(); }

long soft_limit(int resource) {
  rlimit limit{};
  getrlimit(static_cast<__rlimit_resource>(resource), &limit);
  return static_cast<long>(limit.rlim_cur);
}

int oom_score(const std::string& process) {
  int score = -1;
  std::ifstream("/proc/" + process + "/oom_score_adj") >> score;
  return score;
}

// ---- address space -----------------------------------------------------------------------------

std::size_t allocates(std::size_t bytes) { return std::vector<char>(bytes, 'x').size(); }

TEST(WorkerLimits, AnAllocationBeyondTheAddressSpaceIsBadAllocAndTheWorkerLives) {
  if (is_sanitized) GTEST_SKIP() << "a sanitizer reserves terabytes";
  process_pool_executor pool(limited({.address_space = 128 * mebibyte}));
  const int worker = pool.submit(pid_of, 0).get();
  EXPECT_THROW(pool.submit(allocates, 512 * mebibyte).get(), std::bad_alloc);
  EXPECT_EQ(pool.submit(allocates, 16 * mebibyte).get(), 16 * mebibyte)
      << "the budget is beyond what the worker had at its start";
  EXPECT_EQ(pool.submit(pid_of, 0).get(), worker);
}

TEST(WorkerLimits, AddressSpaceIsRefusedUnderASanitizer) {
  if (!is_sanitized) GTEST_SKIP() << "no sanitizer";
  EXPECT_THROW(process_pool_executor(limited({.address_space = mebibyte})), std::invalid_argument);
}

// ---- CPU time ----------------------------------------------------------------------------------

volatile unsigned long counted = 0;
int computes_for_ever(int n) {
  for (;;) counted = counted + static_cast<unsigned long>(n);
}

TEST(WorkerLimits, WhoUsesUpItsCpuTimeIsToldApart) {
  process_pool_executor pool(limited({.cpu_time = 1ms, .core_size = 0}));  // that is a second
  const auto crash = crash_of(pool.submit(computes_for_ever, 1));
  EXPECT_EQ(crash.cause(), crash_cause::cpu_limit);
  EXPECT_EQ(crash.signal(), SIGXCPU);
  EXPECT_GT(crash.usage().user_time + crash.usage().system_time, 0ns);
  EXPECT_NE(std::string(crash.what()).find("CPU time"), std::string::npos) << crash.what();
  EXPECT_GT(pool.submit(pid_of, 0).get(), 0) << "a new worker has its own second";
}

// ---- files -------------------------------------------------------------------------------------

int opens_until_refused(int) {
  std::vector<int> fds;
  for (int fd = 0; fds.size() < 1000 && (fd = open("/dev/null", O_RDONLY)) >= 0;) fds.push_back(fd);
  const int why = errno;
  for (const int fd : fds) close(fd);
  if (why != EMFILE) throw std::runtime_error("not EMFILE");
  return static_cast<int>(fds.size());
}

TEST(WorkerLimits, OpenFilesAreCounted) {
  process_pool_executor pool(limited({.open_files = 32}));
  EXPECT_LT(pool.submit(opens_until_refused, 0).get(), 32);
  EXPECT_EQ(pool.submit(soft_limit, RLIMIT_NOFILE).get(), 32);
}

int error_of_writing_beyond(std::size_t limit) {
  const int file = memfd_create("grows", 0);
  const bool within = pwrite(file, "x", 1, static_cast<off_t>(limit) - 1) == 1;
  const bool beyond = pwrite(file, "x", 1, static_cast<off_t>(limit)) == 1;
  const int why = errno;
  close(file);
  return within && !beyond ? why : 0;
}

TEST(WorkerLimits, AFileThatGrowsTooLargeIsAnErrorOfTheWrite) {
  process_pool_executor pool(limited({.file_size = mebibyte}));
  const int worker = pool.submit(pid_of, 0).get();
  EXPECT_EQ(pool.submit(error_of_writing_beyond, mebibyte).get(), EFBIG);
  auto too_large = pool.submit([](std::size_t n) { return std::vector<char>(n); }, 2 * mebibyte);
  EXPECT_THROW(too_large.get(), std::system_error) << "it would travel in a file";
  EXPECT_EQ(pool.submit(pid_of, 0).get(), worker);
}

TEST(WorkerLimits, NoCoreFileIsWrittenIfTheyHaveNoSize) {
  process_pool_executor pool(limited({.core_size = 0}));
  EXPECT_EQ(pool.submit(soft_limit, RLIMIT_CORE).get(), 0);
}

// ---- who is favoured ---------------------------------------------------------------------------

int niceness(int) { return getpriority(PRIO_PROCESS, 0); }
int niceness_at_initialisation = -100;

TEST(WorkerLimits, TheyHoldBeforeTheInitializer) {
  process_pool_executor pool({.max_workers = 1,
                              .initializer = [] { niceness_at_initialisation = niceness(0); },
                              .limits = {.nice = 19}});
  EXPECT_EQ(pool.submit([](int) { return niceness_at_initialisation; }, 0).get(), 19);
  EXPECT_EQ(pool.submit(niceness, 0).get(), 19);
}

std::vector<int> usable_cpus(int) {
  cpu_set_t set;
  CPU_ZERO(&set);
  sched_getaffinity(0, sizeof set, &set);
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  return cpus;
}

TEST(WorkerLimits, AWorkerRunsOnTheCpusThatAreListed) {
  const std::vector<int> last{usable_cpus(0).back()};
  process_pool_executor pool(limited({.cpus = last}));
  EXPECT_EQ(pool.submit(usable_cpus, 0).get(), last);
}

TEST(WorkerLimits, TheKernelTakesAWorkerBeforeTheProgramUnlessToldOtherwise) {
  const int own = oom_score("self");
  process_pool_executor by_default(1), chosen(limited({.oom_score_adj = 1000}));
  const auto score = [](int) { return oom_score("self"); };
  EXPECT_EQ(by_default.submit(score, 0).get(), std::min(own + 500, 1000));
  EXPECT_EQ(chosen.submit(score, 0).get(), 1000);
  EXPECT_EQ(oom_score("self"), own);
}

// ---- values that cannot be ---------------------------------------------------------------------

TEST(WorkerLimits, ValuesThatNoWorkerCouldHaveAreRefusedByTheConstructor) {
  const worker_limits wrong[] = {{.address_space = 0},
                                 {.cpu_time = 0s},
                                 {.cpu_time = -1s},
                                 {.open_files = 15},
                                 {.file_size = 0},
                                 {.nice = -21},
                                 {.nice = 20},
                                 {.cpus = {-1}},
                                 {.cpus = {0, 1'000'000}},
                                 {.oom_score_adj = 1001},
                                 {.oom_score_adj = -1001},
                                 {.group = control_group{.memory = 0}},
                                 {.group = control_group{.processes = 0}},
                                 {.group = control_group{.cpus = 0.0}}};
  int number = 0;
  for (const auto& limits : wrong) {
    EXPECT_THROW(process_pool_executor{limited(limits)}, std::invalid_argument)
        << "number " << number;
    ++number;
  }
  EXPECT_THROW(process_pool_executor({.max_tasks_jitter = 1}), std::invalid_argument);
}

TEST(WorkerLimits, WhatTheKernelRefusesBreaksThePoolBeforeAnyCall) {
  process_pool_executor pool(limited({.open_files = std::size_t{1} << 40}));  // above fs.nr_open
  try {
    pool.submit(pid_of, 0).get();
    FAIL() << "the call ran without its limit";
  } catch (const limits_unavailable& e) {
    EXPECT_NE(std::string(e.what()).find("open_files"), std::string::npos) << e.what();
  }
  EXPECT_THROW(pool.submit(pid_of, 0), limits_unavailable);
  EXPECT_EQ(pool.statistics().started, 1u) << "the next worker would fare no better";
}

// ---- replacing workers -------------------------------------------------------------------------

int leaks(std::size_t bytes) {
  static std::vector<char*> kept;
  kept.push_back(static_cast<char*>(std::malloc(bytes)));
  std::fill_n(kept.back(), bytes, static_cast<char>(kept.size()));
  return getpid();
}

TEST(MaxRssPerChild, AWorkerThatGrewTooLargeIsReplaced) {
  process_pool_executor pool({.max_workers = 1, .max_rss_per_child = 96 * mebibyte});
  std::set<int> workers;
  for (int i = 0; i < 40; ++i) workers.insert(pool.submit(leaks, 16 * mebibyte).get());
  EXPECT_GT(workers.size(), 1u);
  EXPECT_EQ(pool.statistics().crashed, 0u);
}

TEST(MaxRssPerChild, HoldsWithinASandboxToo) {
  process_pool_executor pool({.max_workers = 1,
                              .max_rss_per_child = 96 * mebibyte,
                              .limits = {.open_files = 64, .core_size = 0},
                              .sandbox = plait::sandbox{}});
  std::set<int> workers;
  for (int i = 0; i < 40; ++i) workers.insert(pool.submit(leaks, 16 * mebibyte).get());
  EXPECT_GT(workers.size(), 1u);
}

TEST(MaxRssPerChild, OneThatDoesNotStays) {
  process_pool_executor pool({.max_workers = 1, .max_rss_per_child = 4096 * mebibyte});
  std::set<int> workers;
  for (int i = 0; i < 100; ++i) workers.insert(pool.submit(pid_of, i).get());
  EXPECT_EQ(workers.size(), 1u);
}

TEST(MaxTasksJitter, WorkersLiveForDifferentNumbersOfCalls) {
  process_pool_executor pool({.max_workers = 1, .max_tasks_per_child = 3, .max_tasks_jitter = 4});
  std::vector<int> lengths;
  for (int i = 0, last = 0; i < 120; ++i) {
    const int worker = pool.submit(pid_of, i).get();
    if (worker != last) lengths.push_back(0);
    ++lengths.back();
    last = worker;
  }
  lengths.pop_back();  // not at its end
  EXPECT_GE(*std::min_element(lengths.begin(), lengths.end()), 3);
  EXPECT_LE(*std::max_element(lengths.begin(), lengths.end()), 7);
  EXPECT_GT(std::set<int>(lengths.begin(), lengths.end()).size(), 1u);
}

// ---- what a death says -------------------------------------------------------------------------

int kills_itself(std::size_t bytes) {
  leaks(bytes);
  return raise(SIGKILL);
}

TEST(CrashCause, SigkillThatNobodyHereSentIsFromOutsideAndSaysHowLargeTheWorkerWas) {
  process_pool_executor pool(1);
  const auto crash = crash_of(pool.submit(kills_itself, 64 * mebibyte));
  EXPECT_EQ(crash.cause(), crash_cause::killed_from_outside);
  EXPECT_GE(crash.usage().max_rss, 64 * mebibyte);
  EXPECT_GT(crash.usage().minor_faults, 0u);
  EXPECT_FALSE(crash.core_dumped());
  EXPECT_NE(std::string(crash.what()).find("from outside"), std::string::npos) << crash.what();
  EXPECT_NE(std::string(crash.what()).find(" MiB"), std::string::npos) << crash.what();
}

TEST(CrashCause, OtherSignalsAndExitsAreThemselves) {
  process_pool_executor pool(limited({.core_size = 0}));
  EXPECT_EQ(crash_of(pool.submit([](int s) { return raise(s); }, SIGTERM)).cause(),
            crash_cause::signal);
  const auto exit = crash_of(pool.submit([](int n) -> int { _exit(n); }, 3));
  EXPECT_EQ(exit.cause(), crash_cause::exit);
  EXPECT_EQ(exit.exit_code(), 3);
}

int crashes_in_a_pool_of_its_own(int) {
  process_pool_executor inner(1);
  return inner.submit(kills_itself, mebibyte).get();
}

TEST(CrashCause, TravelsThroughNestedPools) {
  process_pool_executor pool(1);
  const auto crash = crash_of(pool.submit(crashes_in_a_pool_of_its_own, 0));
  EXPECT_EQ(crash.cause(), crash_cause::killed_from_outside);
  EXPECT_GT(crash.usage().max_rss, 0u);
}

}  // namespace

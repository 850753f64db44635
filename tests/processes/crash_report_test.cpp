#include <plait/processes.hpp>

#include <gtest/gtest.h>

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "crash_of.hpp"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PLAIT_TEST_SANITIZED 1
#endif

namespace {

using plait::process_pool_executor;

bool names(const plait::worker_crashed& e, const std::string& function) {
  return std::any_of(e.frames().begin(), e.frames().end(),
                     [&](const auto& f) { return f.function.find(function) != std::string::npos; });
}

// The compiler knows neither what this is nor who calls whom.
volatile int zero = 0;

[[gnu::noinline]] int writes_through(int* p) {
  *const_cast<volatile int*>(p) = 1;
  return zero + 1;
}
[[gnu::noinline]] int calls_who_writes(int offset) {
  return writes_through(reinterpret_cast<int*>(static_cast<std::uintptr_t>(offset))) + zero;
}
[[gnu::noinline]] int overflows_the_stack(int depth) {
  volatile char frame[1000];
  frame[0] = static_cast<char>(depth);
  return (zero == 0 ? overflows_the_stack(depth + 1) : 0) + frame[zero];
}
[[gnu::noinline]] int aborts(int n) {
  if (zero == 0) std::abort();
  return n + zero;
}
[[gnu::noinline]] int throws(int n) {
  if (zero == 0) throw std::runtime_error("nobody may catch this");
  return n;
}
[[gnu::noinline]] int throws_out_of_noexcept(int n) noexcept { return throws(n) + zero; }
[[gnu::noinline]] int divides(int n) { return n / zero; }
[[gnu::noinline]] int calls_nowhere(int n) {
  int (*volatile nowhere)(int) = reinterpret_cast<int (*)(int)>(std::uintptr_t{16});
  return nowhere(n) + zero;
}

class CrashReport : public testing::Test {
 protected:
  void SetUp() override {
#if defined(PLAIT_TEST_SANITIZED)
    GTEST_SKIP() << "a sanitizer owns the signals";
#endif
  }
  process_pool_executor pool{{.max_workers = 1, .initializer = no_core_files}};
};

TEST_F(CrashReport, ANullWriteNamesTheAddressTheFunctionAndItsCallers) {
  const auto e = crash_of(pool.submit(calls_who_writes, 0x10));
  EXPECT_EQ(e.signal(), SIGSEGV);
  EXPECT_EQ(e.fault_address(), 0x10u);
  EXPECT_FALSE(e.is_stack_overflow());
  ASSERT_GE(e.frames().size(), 3u);
  EXPECT_LE(e.frames().size(), 32u);
  EXPECT_NE(e.frames()[0].function.find("writes_through"), std::string::npos) << e.what();
  EXPECT_NE(e.frames()[1].function.find("calls_who_writes"), std::string::npos) << e.what();
  EXPECT_TRUE(names(e, "run_remote")) << e.what();
  const std::string what = e.what();
  EXPECT_NE(what.find("at address 0x10"), std::string::npos) << what;
  EXPECT_NE(what.find("writes_through"), std::string::npos) << what;
}

TEST_F(CrashReport, AStackOverflowIsToldAsOne) {
  const auto e = crash_of(pool.submit(overflows_the_stack, 0));
  EXPECT_EQ(e.signal(), SIGSEGV);
  EXPECT_TRUE(e.is_stack_overflow());
  EXPECT_TRUE(names(e, "overflows_the_stack")) << e.what();
  EXPECT_NE(std::string(e.what()).find("stack overflow"), std::string::npos) << e.what();
}

TEST_F(CrashReport, AbortNamesWhoCalledIt) {
  const auto e = crash_of(pool.submit(aborts, 0));
  EXPECT_EQ(e.signal(), SIGABRT);
  EXPECT_EQ(e.fault_address(), std::nullopt);
  EXPECT_TRUE(names(e, "aborts")) << e.what();
  EXPECT_NE(std::string(e.what()).find("aborts"), std::string::npos) << e.what();
}

TEST_F(CrashReport, AnExceptionThatNobodyMayCatchIsToldWithItsText) {
  const auto e = crash_of(pool.submit(throws_out_of_noexcept, 0));
  EXPECT_EQ(e.signal(), SIGABRT);
  EXPECT_NE(e.stderr_tail().find("nobody may catch this"), std::string::npos) << e.what();
  EXPECT_TRUE(names(e, "throws_out_of_noexcept")) << e.what();
}

#if defined(__x86_64__)  // elsewhere it is no fault
TEST_F(CrashReport, ADivisionByZeroNamesItsInstruction) {
  const auto e = crash_of(pool.submit(divides, 1));
  EXPECT_EQ(e.signal(), SIGFPE);
  ASSERT_FALSE(e.frames().empty());
  EXPECT_NE(e.frames()[0].function.find("divides"), std::string::npos) << e.what();
  EXPECT_TRUE(e.fault_address().has_value());
}
#endif

TEST_F(CrashReport, ACallThroughAWildPointerNamesTheCaller) {
  const auto e = crash_of(pool.submit(calls_nowhere, 1));
  EXPECT_EQ(e.signal(), SIGSEGV);
  EXPECT_TRUE(names(e, "calls_nowhere")) << e.what();
}

TEST_F(CrashReport, ASignalFromElsewhereHasFramesAndNoAddress) {
  const auto e = crash_of(pool.submit([](int n) { return kill(getpid(), n); }, SIGSEGV));
  EXPECT_EQ(e.signal(), SIGSEGV);
  EXPECT_EQ(e.fault_address(), std::nullopt);
  EXPECT_FALSE(e.frames().empty());
}

TEST_F(CrashReport, ADeathWithoutAHandlerHasNoFrames) {
  EXPECT_TRUE(crash_of(pool.submit([](int n) { return raise(n); }, SIGKILL)).frames().empty());
  const auto exited = crash_of(pool.submit([](int n) -> int { std::_Exit(n); }, 3));
  EXPECT_TRUE(exited.frames().empty());
  EXPECT_EQ(exited.fault_address(), std::nullopt);
}

TEST_F(CrashReport, TravelsThroughNestedPools) {
  const auto e = crash_of(pool.submit(
      [](int) {
        process_pool_executor inner{{.max_workers = 1, .initializer = no_core_files}};
        return inner.with({.retries = 1}).submit(calls_who_writes, 0x20).get();
      },
      0));
  EXPECT_EQ(e.fault_address(), 0x20u);
  EXPECT_EQ(e.attempt(), 2u);
  EXPECT_TRUE(names(e, "writes_through"));
}

// ---- what the program installed itself ---------------------------------------------------------

void say_so_and_die(int) {
  static const char text[] = "the program's own handler\n";
  [[maybe_unused]] const auto n = write(STDERR_FILENO, text, sizeof text - 1);
  signal(SIGSEGV, SIG_DFL);
  raise(SIGSEGV);
}
// From before main: workers have it too.
void die_of_what_came(int s) {
  static const char text[] = "from before main\n";
  [[maybe_unused]] const auto n = write(STDERR_FILENO, text, sizeof text - 1);
  signal(s, SIG_DFL);
  raise(s);
}
[[maybe_unused]] const auto before_main = signal(SIGILL, die_of_what_came);
sigjmp_buf out_of_fault;
void jump_out(int) { siglongjmp(out_of_fault, 1); }
struct sigaction before_us;
void pass_it_on(int s, siginfo_t* info, void* context) {
  static const char text[] = "passed on\n";
  [[maybe_unused]] const auto n = write(STDERR_FILENO, text, sizeof text - 1);
  before_us.sa_sigaction(s, info, context);
}

TEST_F(CrashReport, AHandlerThatTheCallInstalledRuns) {
  const auto e = crash_of(pool.submit(
      [](int offset) {
        signal(SIGSEGV, say_so_and_die);
        return calls_who_writes(offset);
      },
      0));
  EXPECT_EQ(e.signal(), SIGSEGV);
  EXPECT_NE(e.stderr_tail().find("the program's own handler"), std::string::npos);
}

TEST_F(CrashReport, AHandlerFromBeforeMainRunsAfterOurs) {
  const auto e = crash_of(pool.submit([](int n) -> int { return __builtin_trap(), n; }, 0));
  EXPECT_EQ(e.signal(), SIGILL);
  EXPECT_NE(e.stderr_tail().find("from before main"), std::string::npos);
  EXPECT_FALSE(e.frames().empty());
}

TEST_F(CrashReport, AHandlerThatPassesTheSignalOnKeepsTheFrames) {
  const auto e = crash_of(pool.submit(
      [](int offset) {
        struct sigaction own {};
        own.sa_sigaction = pass_it_on;
        own.sa_flags = SA_SIGINFO | SA_ONSTACK;
        sigaction(SIGSEGV, &own, &before_us);
        return calls_who_writes(offset);
      },
      0x30));
  EXPECT_EQ(e.fault_address(), 0x30u);
  EXPECT_NE(e.stderr_tail().find("passed on"), std::string::npos);
  EXPECT_TRUE(names(e, "writes_through")) << e.what();
}

TEST_F(CrashReport, AHandlerThatJumpsOutSavesTheCall) {
  const auto survives = [](int offset) {
    signal(SIGSEGV, jump_out);
    if (sigsetjmp(out_of_fault, 1) != 0) return 7;
    return calls_who_writes(offset);
  };
  EXPECT_EQ(pool.submit(survives, 0).get(), 7);
  EXPECT_EQ(pool.statistics().crashed, 0u);
}

}  // namespace

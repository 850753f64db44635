#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "descriptor_count.hpp"
#include "plait/coroutines.hpp"
#include "plait/net.hpp"

namespace {

using namespace std::chrono_literals;
using plait::net::run_until_signal;
using plait::net::signal_set;

void (*handler_of(int signal))(int) {
  struct sigaction present {};
  sigaction(signal, nullptr, &present);
  return present.sa_handler;
}

TEST(SignalSet, ASignalThatArrivesBeforeOrDuringTheWaitIsTaken) {
  auto body = []() -> plait::task<> {
    signal_set set(SIGUSR1, SIGUSR2);
    raise(SIGUSR1);
    const int before = co_await set.next();
    EXPECT_EQ(before, SIGUSR1);
    auto waiting = plait::spawn(set.next());
    co_await plait::sleep(0ms);
    raise(SIGUSR2);
    const int during = co_await waiting;
    EXPECT_EQ(during, SIGUSR2);
    EXPECT_EQ(set.try_next(), std::nullopt);
  };
  plait::run(body());
}

TEST(SignalSet, SignalsOfOneNumberAreOneUntilItIsTaken) {
  signal_set set(SIGUSR1);
  raise(SIGUSR1);
  raise(SIGUSR1);
  EXPECT_EQ(set.try_next(), SIGUSR1);
  EXPECT_EQ(set.try_next(), std::nullopt);
}

TEST(SignalSet, EverySetOfASignalGetsItOnItsOwnLoop) {
  std::atomic<int> ready{0}, got{0};
  auto wait = [&]() -> plait::task<> {
    signal_set set(SIGUSR1);
    ++ready;
    got += co_await set.next();
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back([&] { plait::run(wait()); });
  while (ready != 3) std::this_thread::yield();
  kill(getpid(), SIGUSR1);
  for (auto& t : threads) t.join();
  EXPECT_EQ(got, 3 * SIGUSR1);
}

TEST(SignalSet, WhatWasThereBeforeComesBackWithTheLastSet) {
  static int calls;
  calls = 0;  // the test may be repeated
  auto* const before = signal(SIGUSR1, [](int) { ++calls; });
  {
    std::optional<signal_set> first(std::in_place, SIGUSR1);
    signal_set second(SIGUSR1);
    first.reset();
    raise(SIGUSR1);
    EXPECT_EQ(calls, 0);
    EXPECT_EQ(second.try_next(), SIGUSR1);
  }
  raise(SIGUSR1);
  EXPECT_EQ(calls, 1);
  signal(SIGUSR1, before);
}

TEST(SignalSet, AHandlerThatWasPutOverItStays) {
  void (*const theirs)(int) = [](int) {};
  {
    signal_set set(SIGUSR1);
    signal(SIGUSR1, theirs);
  }
  EXPECT_EQ(handler_of(SIGUSR1), theirs);
  signal(SIGUSR1, SIG_DFL);
}

TEST(SignalSet, AStoppedWaitTakesNothing) {
  auto body = []() -> plait::task<> {
    signal_set set(SIGUSR1);
    for (int i = 0; i < 2; ++i) {
      bool timed_out = false;
      try {
        co_await plait::timeout(1ms, set.next());
      } catch (const plait::timeout_error&) {
        timed_out = true;
      }
      EXPECT_TRUE(timed_out);
    }
    auto late = plait::spawn(set.next());
    raise(SIGUSR1);
    late.cancel();  // before it has begun
    bool cancelled = false;
    try {
      co_await late;
    } catch (const plait::cancelled_error&) {
      cancelled = true;
    }
    EXPECT_TRUE(cancelled);
    const int signal = co_await set.next();
    EXPECT_EQ(signal, SIGUSR1);
  };
  plait::run(body());
}

TEST(SignalSet, ASetThatGoesCancelsWhoWaits) {
  auto body = []() -> plait::task<> {
    std::optional<signal_set> set(std::in_place, SIGUSR1);
    auto waiting = plait::spawn(set->next());
    co_await plait::sleep(0ms);
    set.reset();
    bool cancelled = false;
    try {
      co_await waiting;
    } catch (const plait::cancelled_error&) {
      cancelled = true;
    }
    EXPECT_TRUE(cancelled);
  };
  plait::run(body());
}

TEST(SignalSet, SetsComeAndGoWhileSignalsArrive) {
  const int descriptors = open_descriptors();
  const signal_set always(SIGUSR1);  // the default would end the process
  std::atomic<bool> done{false};
  std::thread sender([&] {
    while (!done) kill(getpid(), SIGUSR1);
  });
  for (int i = 0; i < 2000; ++i) {
    signal_set set(SIGUSR1);
    static_cast<void>(set.try_next());
  }
  done = true;
  sender.join();
  EXPECT_EQ(open_descriptors(), descriptors + 1);
}

TEST(SignalSet, RefusesWhatNobodyCanWaitFor) {
  for (const int wrong : {0, -1, 65, 1000, SIGKILL, SIGSTOP, SIGSEGV, SIGFPE})
    EXPECT_THROW(signal_set{wrong}, std::invalid_argument) << wrong;
  const signal_set real_time(SIGRTMIN, SIGRTMAX);
}

TEST(SignalSet, ChildrenAreWaitedForBesideIt) {
  auto body = []() -> plait::task<> {
    signal_set set(SIGCHLD);
    const auto done = co_await plait::net::run_command(plait::net::command("true"));
    EXPECT_TRUE(done.status.success());
    const int signal = co_await set.next();
    EXPECT_EQ(signal, SIGCHLD);
  };
  plait::run(body());
}

TEST(SignalSet, AForkedChildWithoutAProgramOfItsOwnIsNotOurs) {
  signal_set set(SIGUSR1);
  const pid_t child = fork();
  if (child == 0) {
    raise(SIGUSR1);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);
  EXPECT_EQ(set.try_next(), std::nullopt);
}

plait::task<int> sleeps_until_stopped(bool& cleaned_up) {
  struct scope {
    bool& done;
    ~scope() { done = true; }
  } at_end{cleaned_up};
  co_await plait::sleep(1h);
  co_return 1;
}

plait::task<int> interrupted_by(int signal, bool& cleaned_up) {
  auto sleeping = plait::spawn(sleeps_until_stopped(cleaned_up));
  co_await plait::sleep(0ms);
  raise(signal);
  co_return co_await std::move(sleeping);
}

TEST(RunUntilSignal, TheFirstSignalStopsTheMainTaskInOrder) {
  for (const int signal : {SIGINT, SIGTERM}) {
    bool cleaned_up = false;
    try {
      run_until_signal(interrupted_by(signal, cleaned_up));
      FAIL() << "it was not stopped";
    } catch (const plait::net::interrupted& stop) {
      EXPECT_EQ(stop.signal(), signal);
      EXPECT_EQ(stop.exit_code(), 128 + signal);
    }
    EXPECT_TRUE(cleaned_up);
    EXPECT_EQ(handler_of(signal), SIG_DFL);
  }
}

TEST(RunUntilSignal, WithoutASignalItIsRun) {
  auto answer = []() -> plait::task<int> { co_return 42; };
  EXPECT_EQ(run_until_signal(answer()), 42);
  auto nothing = []() -> plait::task<> { co_await plait::sleep(0ms); };
  run_until_signal(nothing());
  auto fails = []() -> plait::task<> {
    throw std::runtime_error("its own");
    co_return;
  };
  EXPECT_THROW(run_until_signal(fails()), std::runtime_error);
  auto gives_up = []() -> plait::task<> {
    throw plait::cancelled_error();
    co_return;
  };
  try {
    run_until_signal(gives_up());
  } catch (const plait::net::interrupted&) {
    FAIL() << "there was no signal";
  } catch (const plait::cancelled_error&) {
  }
  EXPECT_EQ(handler_of(SIGINT), SIG_DFL);
}

TEST(RunUntilSignal, ATaskThatCatchesTheStopReturnsItsValue) {
  auto main = []() -> plait::task<std::string> {
    raise(SIGINT);
    try {
      co_await plait::sleep(1h);
    } catch (const plait::cancelled_error&) {
    }
    co_return "saved";
  };
  EXPECT_EQ(run_until_signal(main()), "saved");
}

TEST(RunUntilSignal, ASignalThatWasIgnoredStaysSo) {
  auto main = []() -> plait::task<int> {
    raise(SIGINT);
    for (int i = 0; i < 10; ++i) co_await plait::sleep(0ms);
    co_return 1;
  };
  signal(SIGINT, SIG_IGN);
  EXPECT_EQ(run_until_signal(main()), 1);
  signal(SIGTERM, SIG_IGN);
  EXPECT_EQ(run_until_signal(main()), 1);
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
}

TEST(RunUntilSignalDeathTest, TheSecondSignalEndsAProgramWhoseCleanUpHangs) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  auto main = []() -> plait::task<> {
    raise(SIGINT);
    try {
      co_await plait::sleep(1h);
    } catch (const plait::cancelled_error&) {
    }
    raise(SIGINT);
    for (;;) pause();
  };
  EXPECT_EXIT(run_until_signal(main()), ::testing::KilledBySignal(SIGINT), "");
}

}  // namespace

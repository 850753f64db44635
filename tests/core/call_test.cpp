// A call on its way to an engine, seen step by step: the engine here runs when it is told.
#include "plait/core/call.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "manual_executor.hpp"
#include "plait/testing/unhandled_recorder.hpp"

namespace {

int twice(int n) { return 2 * n; }

TEST(Call, RunsWhenTheEngineRunsItAndNotBefore) {
  manual_executor engine;
  const auto f = engine.submit(twice, 21);
  EXPECT_FALSE(f.done());
  EXPECT_FALSE(f.running());
  EXPECT_TRUE(engine.run_one());
  EXPECT_EQ(f.get(), 42);
}

TEST(Call, TakesMoveOnlyCallablesAndArguments) {
  manual_executor engine;
  const auto f = engine.submit(
      [one = std::make_unique<int>(1)](std::unique_ptr<int> two) { return *one + *two; },
      std::make_unique<int>(2));
  engine.run_all();
  EXPECT_EQ(f.get(), 3);
}

TEST(Call, TakesMemberFunctionsAndReferences) {
  manual_executor engine;
  std::string text = "abc";
  const auto size = engine.submit(&std::string::size, std::ref(text));
  const auto changed = engine.submit([](std::string& s) { s += "d"; }, std::ref(text));
  engine.run_all();
  EXPECT_EQ(size.get(), 3u);
  changed.get();
  EXPECT_EQ(text, "abcd");
}

TEST(Call, ResultOfAReferenceIsACopy) {
  manual_executor engine;
  static const std::string original = "kept";
  const auto f = engine.submit([]() -> const std::string& { return original; });
  static_assert(std::is_same_v<decltype(f), const plait::future<std::string>>);
  engine.run_all();
  EXPECT_EQ(f.get(), "kept");
  EXPECT_NE(&f.get(), &original);
}

TEST(Call, TakesOverAlignedArguments) {
  struct alignas(64) wide {
    char bytes[64] = {};
  };
  manual_executor engine;
  std::vector<plait::future<bool>> all;
  for (int i = 0; i < 16; ++i)
    all.push_back(engine.submit(
        [w = wide{}] { return reinterpret_cast<std::uintptr_t>(&w) % alignof(wide) == 0; }));
  engine.run_all();
  for (const auto& f : all) EXPECT_TRUE(f.get());
}

TEST(Call, WhatItCapturedIsGoneBeforeItsResultIsSeen) {
  manual_executor engine;
  auto watched = std::make_shared<int>(0);
  for (const bool fails : {false, true}) {
    long at_completion = -1;
    const auto f = engine.submit([watched, fails] {
      if (fails) throw std::runtime_error("after capture");
    });
    f.add_done_callback([&](const plait::future<>& done) {
      at_completion = watched.use_count();
      EXPECT_EQ(done.exception() != nullptr, fails);
    });
    engine.run_all();
    EXPECT_EQ(at_completion, 1);
  }
}

// The engine's thread used to finish the call inside the handler, which holds the exception too, and
// so destroyed it after others had seen it.
TEST(Call, WhatItThrewIsHeldByItsFutureAlone) {
  struct watching {
    std::shared_ptr<int> watched;
  };
  manual_executor engine;
  const auto watched = std::make_shared<int>(0);
  auto f = engine.submit([watched] { throw watching{watched}; });
  f.add_done_callback([&](plait::future<> done) {
    static_cast<void>(done.exception());
    done = {};
    f = {};  // the last handles: the state goes, and the exception with it
    EXPECT_EQ(watched.use_count(), 1);
  });
  engine.run_all();
  EXPECT_FALSE(f.valid());
}

TEST(Call, ThatCannotBeStoredIsNotSubmitted) {
  struct uncopyable_today {
    uncopyable_today() = default;
    uncopyable_today(const uncopyable_today&) { throw std::bad_alloc(); }
    void operator()() const {}
  };
  manual_executor engine;
  const uncopyable_today f;
  EXPECT_THROW(engine.submit(f), std::bad_alloc);
  EXPECT_EQ(engine.queued(), 0u);
}

TEST(Call, CancelledInTheQueueNeverRunsAndIsDoneAtOnce) {
  manual_executor engine;
  bool ran = false;
  const auto f = engine.submit([&] { ran = true; });
  EXPECT_TRUE(f.cancel());
  EXPECT_TRUE(f.cancelled());
  engine.run_all();
  EXPECT_FALSE(ran);
}

TEST(Call, SaysInEachOfItsStatesWhatItIs) {
  const auto is = [](const plait::any_future& f, bool running, bool done, bool cancelled) {
    return f.running() == running && f.done() == done && f.cancelled() == cancelled;
  };
  manual_executor engine;
  plait::future<int> f;
  bool while_running = false;
  f = engine.submit([&] { return while_running = is(f, true, false, false), 1; });
  const auto fails = engine.submit([]() -> int { throw std::out_of_range("no such thing"); });
  const auto dropped = engine.submit([] { return 2; });
  EXPECT_TRUE(is(f, false, false, false));
  EXPECT_TRUE(dropped.cancel());
  engine.run_all();
  EXPECT_TRUE(while_running);
  EXPECT_TRUE(is(f, false, true, false));
  EXPECT_TRUE(is(fails, false, true, false));
  EXPECT_NE(fails.exception(), nullptr);
  EXPECT_TRUE(is(dropped, false, true, true));
}

TEST(Call, RunningWithoutATokenCannotHearCancel) {
  manual_executor engine;
  plait::future<bool> f;
  f = engine.submit([&] { return f.running() && !f.cancel() && !f.cancelled(); });
  engine.run_all();
  EXPECT_TRUE(f.get());
}

TEST(Call, ThatTakesAStopTokenFirstIsGivenOneAndHearsCancel) {
  manual_executor engine;
  plait::future<std::string> f;
  f = engine.submit(
      [&](std::stop_token stop, const std::string& name) {
        EXPECT_TRUE(stop.stop_possible());
        EXPECT_FALSE(stop.stop_requested());
        EXPECT_TRUE(f.cancel()) << "it can hear";
        return stop.stop_requested() ? name + " stopped" : name;
      },
      "call");
  engine.run_all();
  EXPECT_EQ(f.get(), "call stopped") << "what it returns after a stop is its result";
  EXPECT_FALSE(f.cancelled());
}

TEST(Call, TokenIsPreferredWhereBothWouldDo) {
  struct both {
    int operator()() const { return 1; }
    int operator()(std::stop_token) const { return 2; }
  };
  manual_executor engine;
  const auto f = engine.submit(both{});
  engine.run_all();
  EXPECT_EQ(f.get(), 2);
}

// Invariant 1: a job is either run or destroyed, and destroying it resolves its future.
TEST(Invariant1NoFutureHangs, DroppedJobCancelsItsFuture) {
  manual_executor engine;
  bool ran = false;
  const auto f = engine.submit([&] { ran = true; });
  engine.drop_all();
  EXPECT_THROW(f.get(), plait::cancelled_error);
  EXPECT_FALSE(ran);
}

TEST(Invariant1NoFutureHangs, DroppedJobThatWasCancelledBeforeIsNotResolvedTwice) {
  manual_executor engine;
  const auto f = engine.submit([] {});
  EXPECT_TRUE(f.cancel());
  engine.drop_all();
  EXPECT_TRUE(f.cancelled());
}

TEST(Invariant1NoFutureHangs, RefusedSubmitThrowsAndLeaksNothing) {
  manual_executor engine;
  engine.shutdown();
  auto watched = std::make_shared<int>(0);
  EXPECT_THROW(engine.submit([watched] {}), plait::executor_shutdown);
  EXPECT_EQ(watched.use_count(), 1);
}

// Invariant 5: a blocking get() on an engine's own worker helps, or says that it would deadlock.
TEST(Invariant5NoSilentDeadlock, GetOnAWorkerRunsTheNewestCallItself) {
  manual_executor engine;
  engine.set_worker(manual_executor::worker::this_thread);
  const auto f = engine.submit(twice, 4);
  EXPECT_EQ(f.get(), 8);
  EXPECT_EQ(engine.queued(), 0u);
}

TEST(Invariant5NoSilentDeadlock, GetOnAWorkerRunsAnOlderCallWhichTheQueueThenSkips) {
  manual_executor engine;
  engine.set_worker(manual_executor::worker::this_thread);
  int runs = 0;
  const auto older = engine.submit([&] { return ++runs; });
  const auto newer = engine.submit([&] { return ++runs; });
  EXPECT_EQ(older.get(), 1);
  EXPECT_EQ(engine.queued(), 2u);
  engine.run_all();
  EXPECT_EQ(newer.get(), 2);
  EXPECT_EQ(runs, 2);
}

TEST(Invariant5NoSilentDeadlock, GetOfOnesOwnResultThrows) {
  manual_executor engine;
  engine.set_worker(manual_executor::worker::this_thread);
  plait::future<int> self;
  self = engine.submit([&]() -> int { return self.get(); });
  engine.run_all();
  EXPECT_THROW(self.get(), plait::would_deadlock);
}

TEST(Invariant5NoSilentDeadlock, GetOfAnOuterCallThroughAHelpedOneThrows) {
  manual_executor engine;
  engine.set_worker(manual_executor::worker::this_thread);
  plait::future<int> outer;
  outer = engine.submit([&] {
    const auto inner = engine.submit([&] { return outer.get(); });
    return inner.get();  // helps: the inner call runs above the outer one, on the same thread
  });
  engine.run_all();
  EXPECT_THROW(outer.get(), plait::would_deadlock);
}

}  // namespace

// Invariant 4: no silent failure; the report names the call and where it was submitted. (Outside
// the unnamed namespace: the dynamic symbols know only functions with external linkage.)
TEST(Invariant4NoSilentFailure, ReportNamesTheCallAndItsPlace) {
  const plait::testing::unhandled_recorder unhandled;
  manual_executor engine;
  engine.submit([](int) { throw std::runtime_error("unseen"); }, 1);
  engine.run_all();
  ASSERT_EQ(unhandled.count(), 1u);
  const auto heard = unhandled.entries()[0];
  EXPECT_EQ(heard.message, "unseen");
  EXPECT_NE(heard.origin.find("call of"), std::string::npos) << heard.origin;
  EXPECT_NE(heard.origin.find("lambda"), std::string::npos) << heard.origin;
  EXPECT_NE(heard.origin.find("call_test"), std::string::npos) << "the file: " << heard.origin;
  EXPECT_NE(heard.origin.find("ReportNamesTheCall"), std::string::npos)
      << "the function that submitted it: " << heard.origin;
}

TEST(Invariant4NoSilentFailure, ReportOfAMappedCallNamesThePlaceOfTheMap) {
  const plait::testing::unhandled_recorder unhandled;
  manual_executor engine;
  engine.set_worker(manual_executor::worker::this_thread);
  const std::vector<int> items{0, 1};
  {
    auto results = engine.map(
        [](int n) {
          if (n == 1) throw std::runtime_error("unseen");
          return n;
        },
        items);
    auto first = results.begin();
    EXPECT_EQ(*first, 0);
    engine.run_all();
  }
  ASSERT_EQ(unhandled.count(), 1u);
  EXPECT_NE(unhandled.entries()[0].origin.find("ReportOfAMappedCall"), std::string::npos)
      << unhandled.entries()[0].origin;
}

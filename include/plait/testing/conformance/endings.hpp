// plait/testing/conformance/endings.hpp: cancellation, shutdown, and calls that run exactly once.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <thread>

#include "plait/core/executor.hpp"
#include "plait/testing/conformance/calls.hpp"
#include "plait/testing/seed.hpp"

namespace plait::testing::conformance {

template <class Engine>
struct endings {
  static constexpr auto run_pending = shutdown_options::pending_calls::run;
  static constexpr auto cancel_pending = shutdown_options::pending_calls::cancel;

  // ---- cancel ----------------------------------------------------------------------------------

  static void cancelled_in_the_queue_never_runs() {
    Engine engine(1);
    gate g;
    const tally ran;
    const auto held = engine.executor().submit(pass, g.name(), 0);
    g.wait_for_arrival();
    std::vector<future<number>> queued;
    for (number n = 0; n < 40; ++n) queued.push_back(engine.executor().submit(note, ran.name(), n));
    for (std::size_t i = 0; i < queued.size(); i += 2) EXPECT_TRUE(queued[i].cancel());
    for (std::size_t i = 0; i < queued.size(); i += 2) {
      EXPECT_TRUE(queued[i].cancelled()) << "at once, while the engine is busy";
      EXPECT_THROW(queued[i].get(), cancelled_error);
    }
    g.open();
    for (std::size_t i = 1; i < queued.size(); i += 2) EXPECT_EQ(queued[i].exception(), nullptr);
    engine.shutdown({});
    const auto counts = ran.counts(queued.size());
    for (std::size_t i = 0; i < queued.size(); ++i) EXPECT_EQ(counts[i], i % 2 == 0 ? 0 : 1);
  }
  static void cancel_of_a_done_call_says_false() {
    Engine engine(1);
    const auto f = engine.executor().submit(square, 3);
    f.wait();
    EXPECT_FALSE(f.cancel());
    EXPECT_FALSE(f.cancelled());
    EXPECT_EQ(f.get(), 9);
  }
  static void cancel_of_a_running_call_that_cannot_hear_says_false() {
    Engine engine(1);
    gate g;
    const auto f = engine.executor().submit(pass, g.name(), 3);
    g.wait_for_arrival();
    EXPECT_FALSE(f.cancel());
    EXPECT_FALSE(f.done());
    g.open();
    EXPECT_EQ(f.get(), 3) << "its result arrives as if nothing had been asked";
  }
  static void cancel_reaches_a_running_call_through_its_stop_token() {
    Engine engine(1);
    gate g;
    const auto f = engine.executor().submit(until_stopped, g.name());
    g.wait_for_arrival();
    EXPECT_TRUE(f.cancel());
    EXPECT_EQ(f.get(), "stopped");
  }

  static void holds_nothing_of_a_call_that_has_ended() {
    Engine engine(1);
    auto watched = std::make_shared<int>(0);
    engine.executor().submit([watched] { return *watched; }).get();
    EXPECT_EQ(watched.use_count(), 1);
    std::atomic<bool> gone{false};
    const auto set_gone = [&](int*) { gone = true; };
    engine.executor().submit([held = std::shared_ptr<int>(nullptr, set_gone)] {});
    engine.executor().submit(do_nothing).get();
    engine.shutdown({});
    EXPECT_TRUE(gone) << "nobody kept the future of the call";
  }

  // ---- shutdown --------------------------------------------------------------------------------

  static std::vector<future<number>> submit_notes(Engine& engine, const tally& to, number count) {
    std::vector<future<number>> calls;
    for (number n = 0; n < count; ++n)
      calls.push_back(engine.executor().submit(note, to.name(), n));
    return calls;
  }
  static void shutdown_runs_what_is_pending() {
    Engine engine(2);
    const tally ran;
    const auto calls = submit_notes(engine, ran, 200);
    engine.shutdown({.pending = run_pending});
    for (const auto& f : calls) EXPECT_TRUE(f.done() && f.exception() == nullptr);
    EXPECT_EQ(ran.counts(200), std::vector<int>(200, 1));
  }
  static void shutdown_cancels_what_is_pending() {
    Engine engine(1);
    gate g;
    const tally ran;
    const auto held = engine.executor().submit(pass, g.name(), 7);
    g.wait_for_arrival();
    const auto calls = submit_notes(engine, ran, 200);
    std::thread closer([&] { engine.shutdown({.pending = cancel_pending}); });
    // A loop drops them when it comes back to itself, so the gate may not wait for that.
    g.open();
    closer.join();
    EXPECT_EQ(held.get(), 7) << "what had begun has ended";
    const auto counts = ran.counts(200);
    for (std::size_t i = 0; i < calls.size(); ++i) {
      ASSERT_TRUE(calls[i].done());
      EXPECT_EQ(counts[i], calls[i].cancelled() ? 0 : 1);
    }
  }
  static void submit_after_shutdown_throws() {
    for (const auto pending : {run_pending, cancel_pending}) {
      Engine engine(1);
      EXPECT_EQ(engine.executor().submit(square, 3).get(), 9);
      engine.shutdown({.pending = pending});
      EXPECT_THROW(engine.executor().submit(square, 3), executor_shutdown);
      const std::vector<number> items{1, 2};
      EXPECT_THROW(engine.executor().map(square, items).to_vector(), executor_shutdown);
    }
  }
  static void shutdown_twice_is_shutdown() {
    Engine engine(2);
    const auto f = engine.executor().submit(square, 3);
    engine.shutdown({});
    engine.shutdown({.pending = cancel_pending});
    EXPECT_EQ(f.get(), 9);
  }
  static void an_engine_that_never_worked_ends() {
    { Engine engine(2); }
    Engine engine(1);
    engine.shutdown({.pending = cancel_pending});
  }
  static void destructor_resolves_everything() {
    std::vector<future<number>> calls;
    const tally ran;
    {
      Engine engine(2);
      calls = submit_notes(engine, ran, 300);
    }
    const auto counts = ran.counts(300);
    for (std::size_t i = 0; i < calls.size(); ++i) {
      ASSERT_TRUE(calls[i].done());
      EXPECT_EQ(counts[i], calls[i].cancelled() ? 0 : 1);
    }
  }

  static void takes_many_more_calls_than_it_has_workers() {
    Engine engine(2);
    gate g;
    std::vector<future<number>> calls;
    for (number n = 0; n < 30; ++n) calls.push_back(engine.executor().submit(pass, g.name(), n));
    g.wait_for_arrival();
    g.open(calls.size());
    for (number n = 0; n < 30; ++n) EXPECT_EQ(calls[static_cast<std::size_t>(n)].get(), n);
  }
  // CPython gh-94440: shutdown() hung.
  static void a_cancel_right_before_shutdown_is_no_obstacle() {
    for (int round = 0; round < 20; ++round) {
      Engine engine(1);
      engine.executor().submit(do_nothing).get();
      const auto f = engine.executor().submit(square, 3);
      f.cancel();
      engine.shutdown({});
      EXPECT_TRUE(f.done());
    }
  }

  // ---- exactly once ----------------------------------------------------------------------------

  static void ten_thousand_calls_none_lost_none_twice() {
    Engine engine(2);
    const tally ran;
    constexpr number threads = 4, each = 2500;
    std::vector<std::vector<future<number>>> calls(threads);
    std::vector<std::thread> submitters;
    for (number t = 0; t < threads; ++t)
      submitters.emplace_back([&, t] {
        for (number n = t * each; n < (t + 1) * each; ++n)
          calls[static_cast<std::size_t>(t)].push_back(
              engine.executor().submit(note, ran.name(), n));
      });
    for (auto& s : submitters) s.join();
    number expected = 0;
    for (const auto& of_thread : calls)
      for (const auto& f : of_thread) ASSERT_EQ(f.get(), expected++);
    EXPECT_EQ(ran.counts(threads * each), std::vector<int>(threads * each, 1));
  }
  // Each call ran once or was cancelled, whenever the cancel and the shutdown came.
  static void cancels_and_a_shutdown_at_random_moments() {
    random_source random;
    for (int round = 0; round < 8; ++round) {
      std::optional<Engine> engine(2);
      const tally ran;
      std::vector<future<number>> calls;
      for (number n = 0; n < 400; ++n) {
        calls.push_back(engine->executor().submit(note, ran.name(), n));
        if (random.one_in(3)) calls[random.below(calls.size())].cancel();
        if (random.one_in(50)) std::this_thread::yield();
      }
      if (random.one_in(2))
        engine->shutdown({.pending = random.one_in(2) ? run_pending : cancel_pending});
      engine.reset();
      const auto counts = ran.counts(calls.size());
      for (std::size_t i = 0; i < calls.size(); ++i) {
        ASSERT_TRUE(calls[i].done());
        EXPECT_EQ(counts[i], calls[i].cancelled() ? 0 : 1) << "call " << i << " of round " << round;
      }
    }
  }

  static constexpr std::array list{
      check{"CancelledInTheQueueNeverRuns", cancelled_in_the_queue_never_runs},
      check{"CancelOfADoneCallSaysFalse", cancel_of_a_done_call_says_false},
      check{"CancelOfARunningCallThatCannotHearSaysFalse",
            cancel_of_a_running_call_that_cannot_hear_says_false},
      check{"Invariant10ShutdownRunsWhatIsPending", shutdown_runs_what_is_pending},
      check{"Invariant10ShutdownCancelsWhatIsPending", shutdown_cancels_what_is_pending},
      check{"Invariant10SubmitAfterShutdownThrows", submit_after_shutdown_throws},
      check{"Invariant10ShutdownTwiceIsShutdown", shutdown_twice_is_shutdown},
      check{"Invariant10AnEngineThatNeverWorkedEnds", an_engine_that_never_worked_ends},
      check{"TakesManyMoreCallsThanItHasWorkers", takes_many_more_calls_than_it_has_workers},
      check{"Invariant10ACancelRightBeforeShutdownIsNoObstacle",
            a_cancel_right_before_shutdown_is_no_obstacle},
      check{"Invariant1DestructorResolvesEverything", destructor_resolves_everything},
      check{"TenThousandCallsNoneLostNoneTwice", ten_thousand_calls_none_lost_none_twice},
      check{"Invariant1CancelsAndAShutdownAtRandomMoments",
            cancels_and_a_shutdown_at_random_moments},
  };
};

// What a call hears and holds in its own address space; calls of processes have stop_test.cpp.
template <class Engine>
struct endings_in_shared_memory : endings<Engine> {
  static constexpr std::array list{
      check{"CancelReachesARunningCallThroughItsStopToken",
            endings<Engine>::cancel_reaches_a_running_call_through_its_stop_token},
      check{"HoldsNothingOfACallThatHasEnded",
            endings<Engine>::holds_nothing_of_a_call_that_has_ended},
  };
};

}  // namespace plait::testing::conformance

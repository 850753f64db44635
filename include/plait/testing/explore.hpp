// plait/testing/explore.hpp: one program under many schedules, each in virtual time.
//
//   TEST(Pipeline, LosesNothingUnderAnySchedule) {
//     plait::testing::explore(1'000, [] { return pipeline(); });
//   }
//
// `program` is a coroutine function, called anew for each schedule; one that takes a number is
// given the schedule's seed, to draw its own choices from. A schedule fails when the program throws,
// when an EXPECT or ASSERT in it fails, or when it comes to rest before its end: then everybody
// waits for somebody, and nobody will ever go on. The first failing schedule ends the exploration,
// and its seed is printed: PLAIT_SEED=<seed> begins with that schedule.
//
// Threads:  runs on the calling thread, as plait::run does.
// Cost:     a loop a schedule: about 10 us beside what the program does.
// Needs:    GoogleTest.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <exception>
#include <string>
#include <type_traits>
#include <unordered_set>

#include "plait/core/errors.hpp"
#include "plait/coroutines/run.hpp"
#include "plait/coroutines/timeout.hpp"
#include "plait/testing/seed.hpp"
#include "plait/testing/shuffled_schedule.hpp"
#include "plait/testing/virtual_clock.hpp"

namespace plait::testing {

struct explore_options {
  std::uint64_t schedules = 1'000;
  // The seeds are this one and those that follow it.
  std::uint64_t first_seed = run_seed();
  // A program that takes longer than this in virtual time has come to rest before its end.
  duration longest = std::chrono::hours(24 * 365);
};

struct exploration {
  std::uint64_t schedules = 0;       // that have been run
  std::uint64_t different_ways = 0;  // by the choices that they made
  bool passed = true;
  std::uint64_t failed_seed = 0;  // if not passed
};

namespace detail {

template <class F>
auto call_with_seed(F& program, std::uint64_t seed) {
  if constexpr (std::is_invocable_v<F&, std::uint64_t>) {
    return program(seed);
  } else {
    return program();
  }
}

// How many expectations of the running test have not been met so far.
inline int failed_expectations() {
  const auto& parts = *::testing::UnitTest::GetInstance()->current_test_info()->result();
  int failed = 0;
  for (int i = 0; i < parts.total_part_count(); ++i) failed += parts.GetTestPartResult(i).failed();
  return failed;
}

template <class Task>
task<> until_rest(Task program, duration longest) {
  const auto end = event_loop::current().now() + longest;
  try {
    static_cast<void>(co_await timeout(longest, std::move(program)));
  } catch (const timeout_error&) {
    if (event_loop::current().now() < end) throw;
    throw invalid_state("it came to rest before its end: everybody waits, and nobody will go on");
  }
}

}  // namespace detail

template <class F>
exploration explore(explore_options options, F program) {
  exploration result;
  std::unordered_set<std::uint64_t> ways;
  for (std::uint64_t i = 0; i < options.schedules && result.passed; ++i) {
    const std::uint64_t seed = options.first_seed + i;
    const ::testing::ScopedTrace trace(__FILE__, __LINE__,
                                       "PLAIT_SEED=" + std::to_string(seed) + " begins with this");
    shuffled_schedule schedule(seed);
    virtual_clock clock;
    std::string failure;
    const int failed_before = detail::failed_expectations();
    try {
      run(detail::until_rest(detail::call_with_seed(program, seed), options.longest),
          {.clock = &clock, .schedule = &schedule});
      if (detail::failed_expectations() != failed_before) failure = "an expectation was not met";
    } catch (const std::exception& e) {
      failure = e.what();
    }
    ways.insert(schedule.way());
    ++result.schedules;
    if (failure.empty()) continue;
    result.passed = false;
    result.failed_seed = seed;
    ADD_FAILURE() << "schedule " << i + 1 << " of " << options.schedules << " failed: " << failure;
  }
  result.different_ways = ways.size();
  return result;
}

template <class F>
exploration explore(std::uint64_t schedules, F program) {
  return explore(explore_options{.schedules = schedules}, std::move(program));
}

}  // namespace plait::testing

// The controller on simulated machines: what it loses against the best fixed width, its learning
// included. Virtual time and seeds: every run is the same everywhere.
#include "advise/width_controller.hpp"

#include <gtest/gtest.h>

#include "advise/simulated_machine.hpp"

namespace {

using plait::detail::width_controller;
using plait::testing::simulated_call;
using plait::testing::simulated_machine;
using plait::testing::simulated_service;
using bound = width_controller::bound;

constexpr double cores = 2, seconds = 3;
constexpr std::size_t most = 64;

double about(std::mt19937& random, double x) {
  return x * std::uniform_real_distribution<>(0.97, 1.03)(random);
}
simulated_machine::source calls(double cpu, double wait, double locked = 0) {
  return [=](double, std::mt19937& r) {
    return simulated_call{about(r, cpu), about(r, locked), about(r, wait)};
  };
}

struct outcome {
  double regret = 0;  // the worst of two seeds
  bound bounded_by = bound::unknown;
  std::size_t width = 0;
  double first_change = 0;  // when
  unsigned phases = 0;
};
outcome try_out(const simulated_machine::source& source, std::size_t best,
                simulated_service service = {}) {
  outcome worst;
  for (const unsigned seed : {1u, 2u}) {
    SCOPED_TRACE(seed);
    const double ideal = simulated_machine(cores, source, service, seed).fixed(best, seconds);
    width_controller controller({.least = 1, .most = most, .cores = std::size_t(cores)});
    simulated_machine machine(cores, source, service, seed);
    const double ended = machine.controlled(controller, seconds);
    worst.regret = std::max(worst.regret, 1 - ended / ideal);
    worst.bounded_by = controller.bounded_by();
    worst.width = controller.width();
    worst.phases = std::max(worst.phases, controller.phases());
    if (!machine.widths.empty()) worst.first_change = machine.widths.front().first;
  }
  return worst;
}

TEST(WidthController, CallsThatComputeStayOnTheCores) {
  const auto o = try_out(calls(500e-6, 0), 2);
  EXPECT_LE(o.regret, 0.01);
  EXPECT_EQ(o.width, 2u);
  EXPECT_EQ(o.bounded_by, bound::cores);
}

// Each call is over before the next one has been handed over.
TEST(WidthController, TinyCallsAreHandedOverSeveralAtATime) {
  const auto width_for = [](double cpu, std::size_t crowd) {
    width_controller controller({.least = 1, .most = most, .cores = 2, .crowd = crowd});
    simulated_machine(cores, calls(cpu, 0), {}, 1).controlled(controller, 0.5);
    return controller.width();
  };
  EXPECT_EQ(width_for(20e-6, 1), 2u);
  EXPECT_EQ(width_for(20e-6, 4), 8u);
  EXPECT_EQ(width_for(20e-6, 32), 20u);
  EXPECT_EQ(width_for(500e-6, 32), 2u);
}

TEST(WidthController, CallsThatWaitShortlyGetAllThereIs) {
  const auto o = try_out(calls(10e-6, 20e-3), most);
  EXPECT_LE(o.regret, 0.05);
  EXPECT_EQ(o.width, most);
  EXPECT_EQ(o.bounded_by, bound::limit);
  EXPECT_LE(o.first_change, 0.006) << "before any call has ended";
}

TEST(WidthController, CallsThatWaitLongToo) {
  const auto o = try_out(calls(10e-6, 0.1), most);
  EXPECT_LE(o.regret, 0.12) << "three latencies of learning are 10 % of it";
  EXPECT_EQ(o.width, most);
}

TEST(WidthController, CallsThatDoBothGetAsManyAsFillTheCores) {
  EXPECT_LE(try_out(calls(2e-3, 18e-3), 64).regret, 0.08);
  EXPECT_LE(try_out(calls(5e-3, 5e-3), 16).regret, 0.12);
}

TEST(WidthController, AServiceThatIsFullGetsNoMoreThanItTakes) {
  const auto o = try_out(calls(10e-6, 20e-3), 16, {.most = 16});
  EXPECT_LE(o.regret, 0.03);
  EXPECT_LE(o.width, 28u) << "wider would only be a longer queue";
  EXPECT_EQ(o.bounded_by, bound::outside);
}

TEST(WidthController, AServiceThatBreaksDownUnderLoadIsSpared) {
  const auto o = try_out(calls(10e-6, 20e-3), 16, {.most = 16, .degrades = 0.095});
  EXPECT_LE(o.regret, 0.10);
  EXPECT_LE(o.width, 24u);
}

TEST(WidthController, CallsBehindALockAreNotMadeToQueueThere) {
  const auto o = try_out(calls(100e-6, 0, 400e-6), 2);
  EXPECT_LE(o.regret, 0.02);
  EXPECT_LE(o.width, 3u);
}

TEST(WidthController, AFewLongCallsAmongManyShortOnesAreNotMissed) {
  const auto o = try_out(
      [](double, std::mt19937& r) {
        return r() % 10 != 0 ? simulated_call{.cpu = 20e-6}
                             : simulated_call{.cpu = 20e-6, .wait = about(r, 50e-3)};
      },
      most);
  EXPECT_LE(o.regret, 0.12);
  EXPECT_EQ(o.width, most);
}

TEST(WidthController, WorkThatTurnsFromComputingToWaitingIsNoticed) {
  const auto o = try_out(
      [](double now, std::mt19937& r) {
        return now < 1.5 ? simulated_call{.cpu = about(r, 500e-6)}
                         : simulated_call{.cpu = 10e-6, .wait = about(r, 20e-3)};
      },
      most);
  EXPECT_LE(o.regret, 0.10);
  EXPECT_EQ(o.width, most);
  EXPECT_EQ(o.phases, 2u);
}

TEST(WidthController, AndFromWaitingToComputing) {
  const auto o = try_out(
      [](double now, std::mt19937& r) {
        return now > 1.5 ? simulated_call{.cpu = about(r, 500e-6)}
                         : simulated_call{.cpu = 10e-6, .wait = about(r, 20e-3)};
      },
      most);
  EXPECT_LE(o.regret, 0.06);
  EXPECT_EQ(o.width, 2u);
}

TEST(WidthController, NothingHappensWhileNobodyWaits) {
  width_controller controller({.least = 1, .most = most, .cores = 2});
  for (int i = 0; i < 1000; ++i)
    EXPECT_EQ(controller.observe({.elapsed = 0.002, .queued = 0, .under_way = 0.004}), 2u);
}

TEST(WidthController, AWidthThatIsGivenIsKept) {
  width_controller controller({.least = 3, .most = 3, .cores = 2});
  EXPECT_EQ(controller.width(), 3u);
  for (int i = 0; i < 1000; ++i)
    EXPECT_EQ(controller.observe({.elapsed = 0.002, .queued = 9, .under_way = 0.006}), 3u);
}

// Whatever it is shown, also nonsense, the width stays within its limits.
TEST(WidthController, NoObservationLeadsOutOfTheLimits) {
  for (const unsigned seed : {1u, 2u, 3u, 4u}) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const auto any = [&](double up_to) {
      const unsigned kind = random() % 4;
      return kind == 0 ? 0.0 : up_to * std::uniform_real_distribution<>(0, 1)(random);
    };
    width_controller controller({.least = 2, .most = 50, .cores = 4});
    for (int i = 0; i < 20'000; ++i) {
      const auto width = controller.observe({.elapsed = any(0.01),
                                             .queued = random() % 3,
                                             .under_way = any(1),
                                             .computing = any(0.1),
                                             .runnable = any(0.1),
                                             .locked = any(0.3),
                                             .ended = std::floor(any(100)),
                                             .whole = std::floor(any(100)),
                                             .latency_sum = any(1),
                                             .latency_squares = any(1),
                                             .longest = any(0.1),
                                             .oldest = any(0.1)});
      ASSERT_GE(width, 2u);
      ASSERT_LE(width, 50u);
    }
  }
}

}  // namespace

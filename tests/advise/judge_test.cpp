// The rules of `plait advise`, one row each: what was seen of a window, and the answer to it.
#include <gtest/gtest.h>

#include "advise/observe/activity_summary.hpp"

namespace {

using namespace plait;
using detail::activity_summary;
using detail::judge;
using detail::of;

// Five quiet seconds on two CPUs.
activity_summary window() {
  activity_summary s;
  s.seconds = 5;
  s.ticks = 350;
  s.cpus = 2;
  s.active = 1;
  return s;
}

// That computes on so many CPUs all the time.
activity_summary computing(double cpus) {
  activity_summary s = window();
  s.run = s.wanted = of(s.threads, activity::running) = cpus;
  of(s.root, activity::running) = 1;
  s.top_busy = 1;
  s.burners = {.members = cpus, .top_share = 1 / cpus};
  return s;
}

activity_summary waiting(activity what, double share, double cpu) {
  activity_summary s = window();
  of(s.root, what) = share;
  of(s.threads, what) = share;
  of(s.root, activity::running) = of(s.threads, activity::running) = s.run = s.wanted = cpu;
  return s;
}

void expect(const activity_summary& s, bottleneck cause, remedy advice) {
  const auto found = judge(s);
  EXPECT_STREQ(to_text(found.cause), to_text(cause)) << found.why;
  EXPECT_STREQ(to_text(found.advice), to_text(advice)) << found.why;
}

TEST(Judge, OneThreadThatComputesMayBecomeSeveral) {
  expect(computing(1), bottleneck::cpu, remedy::threads);
}

TEST(Judge, WhatCannotShareAProcessBecomesProcesses) {
  for (const auto runtime : {runtime_kind::cpython, runtime_kind::javascript}) {
    auto s = computing(1);
    s.runtime = runtime;
    expect(s, bottleneck::cpu, remedy::processes);
  }
  auto shell = computing(1);
  shell.children_share = 0.95;
  expect(shell, bottleneck::cpu, remedy::processes);
}

TEST(Judge, AFullMachineIsKept) { expect(computing(2), bottleneck::cpu, remedy::keep); }

TEST(Judge, MoreThanTheMachineHasIsTooMuch) {
  auto s = computing(8);
  s.run = 2;
  s.active = 8;
  expect(s, bottleneck::oversubscribed, remedy::fewer_workers);
}

TEST(Judge, NeighboursAreNoReasonWhileMostIsGranted) {
  auto s = computing(1);
  s.run = 0.6;
  s.others = 1.4;
  expect(s, bottleneck::cpu, remedy::threads);
}

TEST(Judge, WhoGetsLittleOfWhatItWantsStarves) {
  auto full = computing(2);
  full.run = 0.7;
  full.others = 1.3;
  expect(full, bottleneck::starved, remedy::keep);
  auto alone = computing(1);
  alone.run = 0.1;
  alone.others = 1.9;
  expect(alone, bottleneck::starved, remedy::keep);
}

TEST(Judge, AQuotaStarves) {
  auto s = computing(2);
  s.cpus = s.quota = 0.5;
  s.run = 0.5;
  s.throttled = 0.7;
  expect(s, bottleneck::starved, remedy::keep);
}

TEST(Judge, WaitersForTheInterpreterLockWantProcesses) {
  auto s = computing(1);
  s.gil_run = 1;
  s.runtime = runtime_kind::cpython;
  of(s.threads, activity::interpreter_lock) = 3;
  expect(s, bottleneck::gil, remedy::processes);
}

TEST(Judge, NativeCodeThatLetsTheInterpreterLockGoIsKept) {
  auto s = computing(2);
  s.gil_run = 2;
  s.gil_released = 1;
  s.runtime = runtime_kind::cpython;
  of(s.threads, activity::interpreter_lock) = 0.35;
  expect(s, bottleneck::cpu, remedy::keep);
}

TEST(Judge, ThreadsInLineForAMutexWantItSmaller) {
  auto s = computing(1.05);
  of(s.threads, activity::lock) = 3;
  expect(s, bottleneck::lock, remedy::shrink_lock);
}

TEST(Judge, ALockHeldWhileWaitingIsALock) {
  auto s = waiting(activity::network, 0.98, 0.02);
  of(s.threads, activity::lock) = 7;
  s.io = {.members = 8, .top_share = 0.13, .waiting = 7, .waits_inside = 1};
  expect(s, bottleneck::lock, remedy::shrink_lock);
}

TEST(Judge, ThreadsThatComputeInTurnHaveALock) {
  auto s = computing(1);
  s.burners = {.members = 4, .top_share = 0.27, .waiting = 3, .waits_inside = 0.95};
  expect(s, bottleneck::lock, remedy::shrink_lock);
}

// Found on a busy machine: two that compute, and a pool's idle threads that wait for work.
TEST(Judge, ThreadsThatWantToComputeAtOnceHaveNoLockOnAProgramThatIsCrowdedOut) {
  auto s = computing(2);
  s.run = 0.6;
  s.others = 1.4;
  s.burners = {.members = 4, .top_share = 0.4, .waiting = 2.7, .waits_inside = 0.95};
  EXPECT_NE(judge(s).cause, bottleneck::lock);
}

TEST(Judge, SpinningIsALock) {
  auto s = computing(2);
  s.spinning = 0.5;
  expect(s, bottleneck::lock, remedy::shrink_lock);
}

TEST(Judge, FewAnswersUnderWayWantMore) {
  auto s = waiting(activity::network, 0.97, 0.02);
  s.in_flight = 1;
  expect(s, bottleneck::network, remedy::threads);
  s.in_flight = 500;
  expect(s, bottleneck::network, remedy::event_loop);
}

TEST(Judge, ComputingAndWaitingInTurnOverlap) {
  auto s = waiting(activity::network, 0.5, 0.5);
  s.in_flight = 1;
  expect(s, bottleneck::mixed, remedy::pipeline);
}

TEST(Judge, TheKernelsWorkForADiskIsTheDisks) {
  auto s = waiting(activity::disk, 0.4, 0.6);
  s.system_share = 0.9;
  expect(s, bottleneck::disk, remedy::deeper_io);
  expect(waiting(activity::disk, 0.9, 0.1), bottleneck::disk, remedy::deeper_io);
}

TEST(Judge, SleepAndIdlenessWantNothing) {
  expect(waiting(activity::sleep, 0.98, 0.02), bottleneck::sleep, remedy::none);
  expect(waiting(activity::timer, 0.98, 0.02), bottleneck::sleep, remedy::none);
  expect(waiting(activity::clients, 1, 0), bottleneck::idle, remedy::none);
  expect(waiting(activity::peer, 1, 0), bottleneck::idle, remedy::none);
}

TEST(Judge, WhatIsNotClearIsUnsure) {
  auto s = waiting(activity::sleep, 0.4, 0.1);
  of(s.root, activity::clients) = 0.5;
  expect(s, bottleneck::unsure, remedy::none);
  auto brief = computing(1);
  brief.ticks = 3;
  expect(brief, bottleneck::unsure, remedy::none);
}

}  // namespace

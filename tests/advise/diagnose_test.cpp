// From an observation to an answer: observations made by hand, 100 looks a second.
#include <gtest/gtest.h>

#include "plait/advise/diagnosis.hpp"

namespace {

using namespace plait;

constexpr int looks_a_second = 100;

observation seconds_of(int seconds) {
  observation seen;
  seen.root = 1;
  seen.seconds = seconds;
  seen.cpus = 2;
  for (int i = 0; i < seconds * looks_a_second; ++i)
    seen.ticks.push_back({.at = static_cast<float>(i) / looks_a_second});
  for (int i = 0; i <= seconds; ++i) seen.machine.push_back({static_cast<float>(i), 0, 0, 0});
  seen.processes.push_back({.pid = 1, .last_seen = static_cast<double>(seconds)});
  return seen;
}

// A thread that does so in every second: `what` at every look, `run` and `queue` seconds of it.
void add_thread(observation& seen, activity what, double run, double queue = 0) {
  observed_thread thread{.pid = 1, .tid = static_cast<int>(seen.threads.size()) + 1};
  for (int i = 0; i <= static_cast<int>(seen.seconds); ++i)
    thread.clocks.push_back({static_cast<float>(i), run * i, queue * i});
  const auto running = static_cast<int>((run + queue) * looks_a_second);
  for (std::size_t i = 0; i < seen.ticks.size(); ++i)
    thread.samples.push_back(static_cast<int>(i) % looks_a_second < running ? activity::running
                                                                            : what);
  for (auto& reading : seen.machine) reading.busy += run * reading.at;
  seen.threads.push_back(thread);
}

void expect(const observation& seen, bottleneck cause, remedy advice) {
  const diagnosis found = diagnose(seen);
  EXPECT_STREQ(to_text(found.cause), to_text(cause)) << found.why;
  EXPECT_STREQ(to_text(found.advice), to_text(advice)) << found.why;
}

TEST(Diagnosis, ParkedThreadsAreLeftOut) {
  auto seen = seconds_of(4);
  add_thread(seen, activity::other, 1);
  for (int i = 0; i < 31; ++i) add_thread(seen, activity::peer, 0);
  expect(seen, bottleneck::cpu, remedy::threads);
  EXPECT_NEAR(diagnose(seen).shares.parked, 31 * 4, 1);
  EXPECT_NEAR(diagnose(seen).shares.threads, 0, 0.01);
}

TEST(Diagnosis, SharesAreTheClocksNotTheSamples) {
  auto seen = seconds_of(4);
  add_thread(seen, activity::disk, 0.4);
  // The sampler wakes it up and so sees it run too often.
  for (std::size_t i = 0; i < seen.ticks.size(); ++i)
    if (i % 2 == 0) seen.threads[0].samples[i] = activity::running;
  const auto found = diagnose(seen);
  EXPECT_NEAR(found.shares.cpu, 1.6, 0.05);
  EXPECT_NEAR(found.shares.disk, 2.4, 0.05);
}

TEST(Diagnosis, ANeighboursShareIsNotTheProgramsComputing) {
  auto seen = seconds_of(4);
  add_thread(seen, activity::network, 0.1, 0.6);  // computes 0.1 s, waits 0.3 s, the rest is queue
  for (auto& reading : seen.machine) reading.busy += 1.8 * reading.at;
  for (auto& tick : seen.ticks) tick.in_flight = 1;
  expect(seen, bottleneck::mixed, remedy::pipeline);
}

TEST(Diagnosis, AProgramThatChangesHasNoSingleAnswer) {
  auto seen = seconds_of(4);
  add_thread(seen, activity::sleep, 0.5);
  auto& thread = seen.threads[0];
  thread.clocks = {{0, 0, 0}, {2, 2, 0}, {2.01F, 2, 0}, {4, 2, 0}};
  for (std::size_t i = 0; i < seen.ticks.size(); ++i)
    thread.samples[i] = i < seen.ticks.size() / 2 ? activity::running : activity::clients;
  expect(seen, bottleneck::unsure, remedy::none);
}

TEST(Diagnosis, TheStartOfAProgramIsNotWhatItDoes) {
  auto seen = seconds_of(4);
  seen.began = observation::beginning::started_for_it;
  add_thread(seen, activity::sleep, 0.5);
  auto& thread = seen.threads[0];
  thread.clocks = {{0, 0, 0}, {1, 1, 0}, {1.01F, 1, 0}, {4, 1, 0}};
  for (std::size_t i = 0; i < seen.ticks.size(); ++i)
    thread.samples[i] = i < looks_a_second ? activity::running : activity::sleep;
  expect(seen, bottleneck::sleep, remedy::none);
}

TEST(Diagnosis, HandOversAreNobodysTime) {
  auto seen = seconds_of(4);
  add_thread(seen, activity::peer, 0.1);
  for (std::size_t i = 0; i < seen.ticks.size(); ++i)
    if (i % 2 == 0) seen.threads[0].samples[i] = activity::disk;
  expect(seen, bottleneck::disk, remedy::deeper_io);
}

TEST(Diagnosis, WhoWaitsForThreadsThatComeAndGoBetweenLooksComputes) {
  auto seen = seconds_of(4);
  add_thread(seen, activity::join, 0.02);
  expect(seen, bottleneck::idle, remedy::none);
  seen.unseen_threads_cpu = 3.2;
  expect(seen, bottleneck::cpu, remedy::threads);
}

// Four threads, and always another one of them waits outside.
observation turns_taken(activity outside) {
  auto seen = seconds_of(4);
  for (std::size_t i = 0; i < 4; ++i) {
    add_thread(seen, activity::peer, 0.01);
    for (std::size_t tick = 0; tick < seen.ticks.size(); ++tick)
      if (tick / 3 % 4 == i) seen.threads[i].samples[tick] = outside;
  }
  return seen;
}

TEST(Diagnosis, ALockHeldAcrossAWaitIsALock) {
  expect(turns_taken(activity::sleep), bottleneck::lock, remedy::shrink_lock);
}

// Go's scheduler: whichever thread is free waits for all goroutines' times and answers.
TEST(Diagnosis, ARuntimeWhoseThreadsTakeTurnsInItsEventLoopHasNoLock) {
  auto seen = turns_taken(activity::sleep);
  for (auto& tick : seen.ticks) tick.in_loop = true;
  expect(seen, bottleneck::sleep, remedy::none);
}

TEST(Diagnosis, AnEventLoopThatCouldHaveMoreUnderWayStaysOne) {
  auto seen = seconds_of(4);
  add_thread(seen, activity::network, 0.1);
  for (auto& tick : seen.ticks) tick.in_flight = 4;
  expect(seen, bottleneck::network, remedy::threads);
  for (auto& tick : seen.ticks) tick.in_loop = true;
  expect(seen, bottleneck::network, remedy::event_loop);
}

TEST(Diagnosis, NothingSeenIsUnsure) { expect(observation{}, bottleneck::unsure, remedy::none); }

}  // namespace

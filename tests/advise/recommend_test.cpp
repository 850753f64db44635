// The six rows of the decision framework, and what stands around them.
#include <gtest/gtest.h>

#include <sstream>

#include "plait/advise.hpp"

namespace {

using namespace std::chrono_literals;
using plait::execution_model;
using plait::recommend;
using plait::work_profile;
using kind = plait::framework_row::kind;
constexpr auto python = work_profile::language::python;

TEST(Recommend, FewHttpRequestsGetThreads) {
  const auto r = recommend({.cpu = 1ms, .waits = {.network = 1s}, .calls = 10, .cores = 2});
  EXPECT_EQ(r.model, execution_model::threads);
  EXPECT_EQ(r.width, 10u);
  ASSERT_NE(r.row, nullptr);
  EXPECT_EQ(r.row->id, kind::few_requests);
  EXPECT_DOUBLE_EQ(r.speed_up.high, 10);
}

TEST(Recommend, AThousandConnectionsGetAnEventLoop) {
  const auto r = recommend({.cpu = 60us, .waits = {.network = 1s}, .calls = 1000, .cores = 2});
  EXPECT_EQ(r.model, execution_model::event_loop);
  EXPECT_EQ(r.width, 1000u);
  ASSERT_NE(r.row, nullptr);
  EXPECT_EQ(r.row->id, kind::many_connections);
  EXPECT_GT(r.speed_up.high, 900);
}

TEST(Recommend, NumberCrunchingGetsThreadsHereAndProcessesInPython) {
  const work_profile primes{.cpu = 100ms, .calls = 24, .cores = 4};
  const auto here = recommend(primes);
  EXPECT_EQ(here.model, execution_model::threads);
  EXPECT_EQ(here.width, 4u);
  ASSERT_NE(here.row, nullptr);
  EXPECT_EQ(here.row->id, kind::number_crunching);
  EXPECT_DOUBLE_EQ(here.speed_up.high, 4);

  auto there = primes;
  there.written_in = python;
  EXPECT_EQ(recommend(there).model, execution_model::processes);
  EXPECT_EQ(recommend(there).width, 4u);
}

TEST(Recommend, ScrapingAtScaleGetsAnEventLoopWithABound) {
  const auto r = recommend(
      {.cpu = 1ms, .waits = {.network = 200ms}, .calls = 100'000, .at_once = 50, .cores = 2});
  EXPECT_EQ(r.model, execution_model::event_loop);
  EXPECT_EQ(r.width, 50u);
  ASSERT_NE(r.row, nullptr);
  EXPECT_EQ(r.row->id, kind::scraping);
}

TEST(Recommend, WorkThatOutlivesItsRequestGetsBackgroundTasks) {
  const auto r = recommend({.cpu = 300ms,
                            .calls = 1,
                            .result_is_wanted = work_profile::lifetime::beyond_the_request,
                            .cores = 2});
  EXPECT_EQ(r.model, execution_model::background_tasks);
  ASSERT_NE(r.row, nullptr);
  EXPECT_EQ(r.row->id, kind::background_tasks);
}

TEST(Recommend, StagesThatWaitAndStagesThatComputeGetAPipeline) {
  const work_profile stages{
      .cpu = 20ms, .waits = {.network = 20ms}, .calls = 1000, .written_in = python, .cores = 2};
  const auto r = recommend(stages);
  EXPECT_EQ(r.model, execution_model::pipeline);
  ASSERT_NE(r.row, nullptr);
  EXPECT_EQ(r.row->id, kind::data_pipeline);
  EXPECT_EQ(r.width, 5u) << "1.1 x 2 cores / 0.5";
  EXPECT_NEAR(r.speed_up.high, 4, 0.01) << "both cores";
  EXPECT_NEAR(r.speed_up.low, 2, 0.01) << "the computing stays on one of them";
}

TEST(Recommend, EveryRowIsReachedAndNamesTheArticlesAnswer) {
  const auto rows = plait::decision_framework();
  ASSERT_EQ(rows.size(), 6u);
  for (std::size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(std::size_t(rows[i].id), i);
  EXPECT_STREQ(rows[3].answer, "Asyncio + aiohttp");
}

// Whatever is asked, the answer can be acted upon.
TEST(Recommend, EveryProfileGetsAWidthThatItHasWorkFor) {
  for (const auto cpu : {0ns, 1000ns, 1'000'000ns, 1'000'000'000ns})
    for (const auto wait : {0ns, 1000ns, 20'000'000ns, 1'000'000'000ns})
      for (const std::size_t calls : {0, 1, 10, 100, 101, 5000})
        for (const std::size_t at_once : {0, 1, 50, 2000})
          for (const auto language : {work_profile::language::native, python}) {
            const auto r = recommend({.cpu = cpu,
                                      .waits = {.network = wait},
                                      .calls = calls,
                                      .at_once = at_once,
                                      .written_in = language,
                                      .cores = 4});
            EXPECT_GE(r.width, 1u);
            EXPECT_GE(r.speed_up.low, 1);
            EXPECT_LE(r.speed_up.low, r.speed_up.high);
            EXPECT_FALSE(r.why.empty());
            if (r.model == execution_model::keep) continue;
            ASSERT_NE(r.row, nullptr);
            EXPECT_LE(r.width, calls != 0 ? calls : r.width);
            EXPECT_LE(r.width, at_once != 0 ? at_once : r.width);
          }
}

TEST(Recommend, ALockIsNotAnsweredWithMoreThreads) {
  const auto r = recommend({.cpu = 1ms, .waits = {.network = 1ms, .locks = 20ms}, .calls = 1000});
  EXPECT_EQ(r.model, execution_model::keep);
  EXPECT_NE(r.why.find("lock"), std::string::npos);
  EXPECT_EQ(r.row, nullptr);
}

TEST(Recommend, BusyCoresAreLeftAsTheyAre) {
  const auto r = recommend({.cpu = 10ms,
                            .calls = 1000,
                            .now = {.model = execution_model::threads, .width = 2},
                            .cores = 2});
  EXPECT_EQ(r.model, execution_model::keep);
}

TEST(Recommend, PythonThreadsThatComputeMoveToProcesses) {
  const auto r = recommend({.cpu = 10ms,
                            .waits = {.interpreter_lock = 30ms},
                            .calls = 1000,
                            .written_in = python,
                            .now = {.model = execution_model::threads, .width = 4},
                            .cores = 2});
  EXPECT_EQ(r.model, execution_model::processes);
  EXPECT_DOUBLE_EQ(r.speed_up.high, 2);
}

TEST(Recommend, IsolationGetsProcessesWhateverTheLanguage) {
  const auto r = recommend({.cpu = 1ms,
                            .waits = {.disk = 10ms},
                            .calls = 100,
                            .calls_are = work_profile::isolation::wanted,
                            .cores = 2});
  EXPECT_EQ(r.model, execution_model::processes);
  EXPECT_EQ(r.row, nullptr) << "the article has no row for it";
}

TEST(Recommend, ADisksGainIsNotPromised) {
  const auto r = recommend({.cpu = 1ms, .waits = {.disk = 20ms}, .calls = 64, .cores = 2});
  EXPECT_EQ(r.model, execution_model::threads);
  EXPECT_EQ(r.speed_up.low, 1);
  EXPECT_GT(r.speed_up.high, 10);
}

TEST(Recommend, SaysItInALine) {
  std::ostringstream out;
  out << recommend({.waits = {.network = 1s}, .calls = 10, .cores = 2});
  EXPECT_EQ(out.str(),
            "threads, 10 at once, 8 to 10 times as fast: a call computes for less than 1 % of its "
            "time: calls that wait side by side need no more than ordinary blocking code");
}

}  // namespace

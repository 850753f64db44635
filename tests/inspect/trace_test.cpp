// Promises about the timeline: that viewers can read it, and that it costs the program nothing else.
#include "plait/inspect/trace.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <system_error>
#include <vector>

#include "plait/coroutines.hpp"
#include "plait/processes.hpp"
#include "plait/testing/gate.hpp"
#include "plait/threads.hpp"

namespace {

using nlohmann::json;

class Trace : public testing::Test {
 protected:
  ~Trace() override { plait::trace::stop(); }
  json written() const { return json::parse(std::ifstream(path_)); }
  plait::testing::temporary_folder folder_;
  const std::string path_ = folder_.path() + "/trace.json";
};

int twice(int n) { return 2 * n; }

plait::task<int> step(int n) {
  co_await plait::sleep(plait::duration::zero());
  co_return n;
}
plait::task<> program(plait::thread_pool_executor& threads,
                      plait::process_pool_executor& processes) {
  std::vector<plait::future<int>> all;
  for (int i = 0; i < 20; ++i) {
    all.push_back(plait::spawn(step(i)));
    all.push_back(threads.submit(twice, i));
  }
  for (auto& f : all) co_await f;
  for (int i = 0; i < 5; ++i) co_await processes.submit(twice, i);
}

// Runs something of everything.
void run_program() {
  plait::thread_pool_executor threads({.max_workers = 2, .thread_name_prefix = "mill"});
  plait::process_pool_executor processes(1);
  plait::run(program(threads, processes));
}

std::int64_t nanoseconds(const json& microseconds) {
  return static_cast<std::int64_t>(microseconds.get<double>() * 1000 + 0.5);
}

TEST_F(Trace, TellsEveryCallTaskAndWorker) {
  plait::trace::start(path_);
  run_program();
  plait::trace::stop();
  std::map<std::string, int> slices, tasks;
  std::set<int> threads, named, processes;
  for (const auto& event : written()) {
    const std::string phase = event.at("ph");
    if (phase == "X") {
      ++slices[event.at("name")];
      threads.insert(event.at("tid").get<int>());
      processes.insert(event.at("pid").get<int>());
    } else if (phase == "b") {
      ++tasks[event.at("name")];
    } else if (phase == "M" && event.contains("tid")) {
      named.insert(event.at("tid").get<int>());
    }
  }
  EXPECT_EQ(slices["(anonymous namespace)::twice(int)"], 25);  // on threads and in the worker
  EXPECT_GE(slices["(anonymous namespace)::step(int)"], 40);   // begun and resumed
  EXPECT_EQ(tasks["(anonymous namespace)::step(int)"], 20);
  EXPECT_EQ(processes.size(), 2U);
  EXPECT_TRUE(std::includes(named.begin(), named.end(), threads.begin(), threads.end()));
}

TEST_F(Trace, SlicesOfAThreadNestAndTasksEnd) {
  plait::trace::start(path_);
  run_program();
  plait::trace::stop();
  struct slice {
    std::int64_t begin, end;
  };
  std::map<int, std::vector<slice>> threads;
  std::map<std::string, int> open;
  for (const auto& event : written()) {
    if (event.at("ph") == "X") {
      const auto begin = nanoseconds(event.at("ts"));
      threads[event.at("tid")].push_back({begin, begin + nanoseconds(event.at("dur"))});
    } else if (event.at("ph") == "b") {
      EXPECT_EQ(open[event.at("id")]++, 0);
    } else if (event.at("ph") == "e") {
      EXPECT_EQ(--open[event.at("id")], 0);
    }
  }
  for (const auto& [id, count] : open) EXPECT_EQ(count, 0) << id;
  for (auto& [tid, slices] : threads) {
    std::sort(slices.begin(), slices.end(), [](const slice& a, const slice& b) {
      return a.begin != b.begin ? a.begin < b.begin : a.end > b.end;
    });
    std::vector<std::int64_t> around;
    for (const auto& s : slices) {
      while (!around.empty() && around.back() <= s.begin) around.pop_back();
      if (!around.empty()) {
        EXPECT_LE(s.end, around.back()) << "on thread " << tid;
      }
      around.push_back(s.end);
    }
  }
}

TEST_F(Trace, NamesProcessesAndThreads) {
  plait::trace::start(path_);
  run_program();
  plait::trace::stop();
  std::multiset<std::string> names;
  for (const auto& event : written())
    if (event.at("ph") == "M" && event.at("args").contains("name"))
      names.insert(event.at("args").at("name").get<std::string>());
  EXPECT_EQ(names.count("plait worker"), 1U);
  EXPECT_TRUE(names.count("mill-0") + names.count("mill-1") >= 1);
}

TEST_F(Trace, BeginsAnewEachTime) {
  for (int i = 0; i < 3; ++i) {
    plait::trace::start(path_);
    plait::thread_pool_executor(1).submit(twice, 1).get();
    plait::trace::stop();
    plait::trace::stop();
    int calls = 0;
    for (const auto& event : written()) calls += event.at("ph") == "X";
    EXPECT_EQ(calls, 1);
  }
}

TEST_F(Trace, MayJoinWhatAnotherBegan) {
  std::ofstream(path_) << "[\n";
  plait::trace::start(path_, plait::trace::file_mode::join);
  plait::thread_pool_executor(1).submit(twice, 1).get();
  plait::trace::stop();
  std::ofstream(path_, std::ios::app) << "{}]\n";
  EXPECT_GE(written().size(), 3U);
}

TEST_F(Trace, OfTheProcessNumberIsNamedByIt) {
  plait::trace::start(folder_.path() + "/%p.json");
  plait::trace::stop();
  std::ifstream file(folder_.path() + "/" + std::to_string(getpid()) + ".json");
  EXPECT_TRUE(json::parse(file).is_array());
}

TEST_F(Trace, IsRefusedWhereItCannotBeWritten) {
  EXPECT_THROW(plait::trace::start(folder_.path() + "/no/such/folder"), std::system_error);
  plait::trace::start(path_);
  EXPECT_THROW(plait::trace::start(path_), plait::invalid_state);
}

TEST_F(Trace, OnAFullDiskSaysSoOnceAndDisturbsNothing) {
  testing::internal::CaptureStderr();
  plait::trace::start("/dev/full");
  run_program();
  plait::trace::stop();
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
  EXPECT_NE(said.find("No space left on device"), std::string::npos) << said;
}

}  // namespace

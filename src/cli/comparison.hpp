// src/cli/comparison.hpp: everything that `plait compare` found out, before anybody draws it.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "cli/comparison_plan.hpp"
#include "cli/machine.hpp"
#include "cli/units.hpp"

namespace plait::cli {

// One run of an experiment. Either ran, or why_not says in a line why there is no figure.
struct measured_run {
  bool ran = false;
  std::string why_not;
  bool failed = false;  // it was tried: this makes the exit status 1 if it is ours
  double seconds = 0, cpu_seconds = 0;
  double starved_seconds = 0;  // ready to run, while other programs had the CPUs
  std::size_t count = 0, failed_requests = 0;
  std::string endpoint;  // with what, in Python: "aiohttp 3.8.4"
  std::vector<double> rounds;

  // Of the wall time, how much one CPU computed: 2.0 is two CPUs busy all the time. What others took
  // from a program that would have computed is no waiting.
  double cpu_share() const {
    if (seconds <= 0) return 0;
    const double share = cpu_seconds / seconds, own = seconds - starved_seconds;
    return share >= 1 || own <= cpu_seconds ? std::max(share, 1.0) : cpu_seconds / own;
  }
};

// A promise about our own figure.
struct target_check {
  std::string text;     // "<= 1.05 s"
  std::string reached;  // what it is checked against, where that is not the time itself: "1.95x"
  std::optional<bool> met;
  std::string why_unchecked;

  // "1.95x, <= ..." for a report; empty when it was not checked.
  std::string sentence() const {
    if (!met) return "";
    return reached.empty() ? text : reached + ", wanted " + text;
  }
};

struct decision {
  bool made = false;  // false: there was no figure to decide by
  bool io = false;    // the bottleneck: waiting, else computing
  std::string model;  // "threads", "coroutines", "processes"
  std::string why;
  std::string rule;  // of the article's decision framework
};

struct experiment {
  std::string id;     // "requests-threads"
  std::string title;  // "on 10 threads"
  std::string ran;    // what exactly was run: "10 x GET /delay/1"
  double article_seconds = 0;
  std::string article_note;  // "4 cores", "the GIL"
  measured_run python, plait;
  target_check target;
  decision verdict;
};

// Experiments that do the same work.
struct workload {
  std::string id, title;
  std::vector<experiment> experiments;
  decision verdict;
};

struct cell {
  std::string text;             // as the table shows it
  std::optional<double> value;  // what was measured
  unit of = unit::count;
  std::string note;  // "cap", "ulimit -u = 500", "8.00 MiB reserved"
};
using cells = std::array<cell, 3>;  // threads, coroutines, processes

struct table_row {
  std::string id, feature;
  cells article, python, plait;
};

struct comparison {
  comparison_plan plan;
  machine_facts machine;
  descriptor_limit descriptors;
  python_interpreter python;
  std::vector<workload> workloads;
  std::vector<table_row> table;
  std::vector<std::string> failures;  // a line each; empty when everything of ours succeeded
  double seconds = 0;                 // that the whole took
};

inline constexpr std::array<const char*, 3> model_names{"threads", "coroutines", "processes"};

// Reads the outcomes of phases_of(plan).
std::vector<workload> read_workloads(const comparison_plan& plan, const machine_facts& machine,
                                     const python_interpreter& python, const outcomes& results);
// The article's comparison table with this machine's numbers. See comparison_table.cpp.
std::vector<table_row> read_table(const comparison_plan& plan, const python_interpreter& python,
                                  const std::vector<workload>& workloads, const outcomes& results);
// One line for each thing of ours that did not succeed.
std::vector<std::string> read_failures(const std::vector<workload>& workloads,
                                       const outcomes& results);

const experiment* find_experiment(const std::vector<workload>& workloads, const std::string& id);
// How many times faster than the sequential experiment of the same work; nothing if either is missing.
std::optional<double> speed_up(const std::vector<workload>& workloads, const std::string& id,
                               measured_run experiment::*side);

}  // namespace plait::cli

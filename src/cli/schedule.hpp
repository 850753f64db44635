// src/cli/schedule.hpp: which child runs when: what only waits beside each other, what computes alone.
//
// A schedule is phases, one after another; a phase is lanes, side by side; a lane is steps, one
// after another; a step is a child process that prints one JSON object.
//
// Threads:  the main thread only.
// Stops:    on a signal, or when nobody reads standard output any more, every child is killed and
//           waited for; then it throws complaint.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/interruption.hpp"

namespace plait::cli {

class progress_display;

struct step {
  std::string key;    // "plait/requests-threads"
  std::string label;  // for the progress display
  std::vector<std::string> argv;
  double expected_seconds = 1;
  double limit_seconds = 60;  // after it the child is killed and the step has failed
};
using lane = std::vector<step>;
using phase = std::vector<lane>;

// A result, or one line about why there is none.
struct outcome {
  nlohmann::json result;
  std::string error;
  bool ok() const noexcept { return error.empty(); }
};
using outcomes = std::map<std::string, outcome>;

outcomes run_schedule(const std::vector<phase>& phases, const interruption& stop,
                      progress_display& display);

// How long it takes if every step takes what is expected.
double expected_seconds(const std::vector<phase>& phases);

}  // namespace plait::cli

// src/cli/measure/measurements.hpp: everything that this tool can measure, by name.
//
// Each runs in a process of its own, so that its memory and CPU time are its own, and writes its
// result as one JSON object on one line: to `plait compare`, or to anybody who asks.
//
// Keys:  seconds, cpu_seconds, starved_seconds; of requests: count, failed, error, endpoint; of
//        populations: count, cap, stopped_by, bytes_each, reserved_each, start_seconds; of switches:
//        switch_seconds, call_seconds, share_seconds.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace plait::cli {

struct measurement_options {
  std::string url;        // of requests
  std::size_t count = 0;  // requests, copies of the prime list, most to hold, or round trips
  std::size_t rounds = 1;
  double seconds = 0;  // how long a population is held
};

using measurement_function = nlohmann::json (*)(const measurement_options&);

struct named_measurement {
  const char* name;
  measurement_function run;
};
const std::vector<named_measurement>& all_measurements();

// requests.cpp: the article's first experiments.
nlohmann::json measure_one_request(const measurement_options&);
nlohmann::json measure_requests_sequential(const measurement_options&);
nlohmann::json measure_requests_threads(const measurement_options&);
nlohmann::json measure_requests_coroutines(const measurement_options&);
// primes.cpp: the article's last experiments.
nlohmann::json measure_primes_sequential(const measurement_options&);
nlohmann::json measure_primes_threads(const measurement_options&);
nlohmann::json measure_primes_processes(const measurement_options&);
// populations.cpp: how many at once, and what one more costs.
nlohmann::json measure_held_threads(const measurement_options&);
nlohmann::json measure_held_coroutines(const measurement_options&);
nlohmann::json measure_held_workers(const measurement_options&);
// switches.cpp: from one to the next, and a call there and back.
nlohmann::json measure_switch_threads(const measurement_options&);
nlohmann::json measure_switch_coroutines(const measurement_options&);
nlohmann::json measure_switch_workers(const measurement_options&);

}  // namespace plait::cli

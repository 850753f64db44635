#include "cli/measure/measurements.hpp"

namespace plait::cli {

const std::vector<named_measurement>& all_measurements() {
  static const std::vector<named_measurement> all{
      {"one-request", measure_one_request},
      {"requests-sequential", measure_requests_sequential},
      {"requests-threads", measure_requests_threads},
      {"requests-coroutines", measure_requests_coroutines},
      {"primes-sequential", measure_primes_sequential},
      {"primes-threads", measure_primes_threads},
      {"primes-processes", measure_primes_processes},
      {"held-threads", measure_held_threads},
      {"held-coroutines", measure_held_coroutines},
      {"held-workers", measure_held_workers},
      {"switch-threads", measure_switch_threads},
      {"switch-coroutines", measure_switch_coroutines},
      {"switch-workers", measure_switch_workers},
  };
  return all;
}

}  // namespace plait::cli

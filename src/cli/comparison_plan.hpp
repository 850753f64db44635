// src/cli/comparison_plan.hpp: what `plait compare` will run, how big, and in which order.
#pragma once

#include <string>
#include <vector>

#include "cli/python_interpreter.hpp"
#include "cli/schedule.hpp"

namespace plait::cli {

// How big each experiment is. Nothing is ever scaled up from these: they are printed beside the figures.
struct comparison_plan {
  bool quick = false;
  std::string url;          // the server's, without a path
  bool own_server = false;  // the embedded one
  std::string delay = "1";  // seconds, as in /delay/1
  double delay_seconds = 1;
  std::size_t requests = 10;       // sequential, and on as many threads
  std::size_t connections = 1000;  // on one thread
  std::size_t prime_copies = 4;    // of the article's six numbers
  std::size_t rounds = 5;          // of our primes; the best counts
  std::size_t most_threads = 10'000, most_coroutines = 1'000'000, most_workers = 64;
  std::size_t most_python_threads = 2'000, most_python_coroutines = 100'000,
              most_python_workers = 64;
  std::size_t round_trips = 20'000;  // of the switches; calls are as many or fewer
  double hold_seconds = 1;           // how long coroutines and workers are kept alive

  static comparison_plan full();
  // Under 15 seconds.
  static comparison_plan quickly();

  std::string delay_url() const { return url + "/delay/" + delay; }
  std::size_t primes() const noexcept { return 6 * prime_copies; }
  // Descriptors that the biggest experiment needs, with some to spare.
  std::size_t descriptors() const noexcept { return connections + 64; }
};

// What only waits runs side by side; while it does, on otherwise idle CPUs, the small measurements
// of the table run one after another. What computes comes after all that, alone.
std::vector<phase> phases_of(const comparison_plan& plan, const python_interpreter& python);

// The one request that tells whether the server is there and has httpbin's routes.
step first_request(const std::string& url);

}  // namespace plait::cli

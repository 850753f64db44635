// plait/advise/recommend.hpp: the decision framework as a function.
//
//   const auto advice = plait::recommend({.cpu = 60us, .waits = {.network = 100ms}, .calls = 5000});
//   std::cout << advice << '\n';
//
// Threads:  any.
// Blocks:   never.
// Throws:   std::bad_alloc.
// Cost:     a few microseconds, most of them to ask for the number of CPUs if it is not given.
// Source:   "Python concurrency: threads, asyncio and multiprocessing", its decision framework; the
//           width is Little's law, the speed-up the work law: never more than the CPUs can compute.
#pragma once

#include <iosfwd>
#include <span>
#include <string>

#include "plait/advise/profile.hpp"

namespace plait {

// One row of the framework. Exactly one of the rows applies to a profile.
struct framework_row {
  enum class kind {
    few_requests,
    many_connections,
    number_crunching,
    scraping,
    background_tasks,
    data_pipeline,
  };
  kind id;
  const char* question;  // "Making 10-100 HTTP requests?"
  const char* answer;    // what the article takes for it in Python
  execution_model in_python;
  execution_model in_native_code;  // where threads compute side by side
  const char* why;
};
// The six rows, in the article's order.
std::span<const framework_row> decision_framework() noexcept;
const framework_row& framework_row_of(const work_profile& profile) noexcept;

struct recommendation {
  execution_model model;
  std::size_t width;  // calls under way at once; of a pipeline, in all of its stages together
  // Throughput, as a multiple of today's: at least and at most.
  struct range {
    double low = 1, high = 1;
  } speed_up;
  std::string why;  // one sentence
  const framework_row*
      row;  // that the model comes from; null if it is none of them: keep, isolation
};

recommendation recommend(const work_profile& profile);

// "event loop, 1000 at once, 800 to 1000 times as fast: ..."
std::ostream& operator<<(std::ostream& out, const recommendation& advice);

}  // namespace plait

// src/cli/measure/stopwatch.hpp: wall time and this process's CPU time, its ended children's included; and
// how long its first thread was ready to run while other programs had the CPUs.
#pragma once

#include <sys/resource.h>

#include <fstream>

#include "plait/core/clock.hpp"

namespace plait::cli {

struct lap {
  double seconds;      // on the wall
  double cpu_seconds;  // user + system, all threads
  double starved_seconds;
};

class stopwatch {
 public:
  stopwatch() : cpu_(cpu()), starved_(starved()), start_(plait::clock::real().now()) {}
  lap read() const {
    const std::chrono::duration<double> wall = plait::clock::real().now() - start_;
    return {wall.count(), cpu() - cpu_, starved() - starved_};
  }

 private:
  static double cpu() {
    double total = 0;
    for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
      rusage used{};
      getrusage(who, &used);
      total += static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
               static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
    }
    return total;
  }
  // Zero where the kernel does not say.
  static double starved() {
    std::ifstream told("/proc/self/schedstat");
    double ran = 0, waited = 0;
    told >> ran >> waited;
    return waited * 1e-9;
  }
  double cpu_, starved_;
  time_point start_;
};

}  // namespace plait::cli

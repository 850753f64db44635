// src/advise/observe/activity_summary.hpp: a window of an observation in the few numbers that decide.
#pragma once

#include <array>
#include <cstddef>

#include "plait/advise/diagnosis.hpp"
#include "plait/advise/observation.hpp"

namespace plait::detail {

using by_activity = std::array<double, activity_count>;
inline double& of(by_activity& table, activity what) {
  return table[static_cast<std::size_t>(what)];
}
inline double of(const by_activity& table, activity what) {
  return table[static_cast<std::size_t>(what)];
}

// Threads that share a kind of work: how many of them do a tenth of it or more, how much of it the
// first does, and what they do when they do not work.
struct crew {
  double members = 0;
  double top_share = 1;
  double waiting = 0;       // members that wait for one another, on average
  double waits_inside = 0;  // of the time they do not work: waiting for one another
};

struct activity_summary {
  double seconds = 0;
  std::size_t ticks = 0;
  double cpus = 1, quota = 0;
  double throttled = 0;  // share of the time

  double run = 0;  // CPUs used
  double wanted =
      0;  // CPUs that it would use alone: with the time in the queue and what was stolen
  double others = 0, steal = 0;  // CPUs that other programs and other machines took

  by_activity root{};  // what the program as a whole did, as shares; other programs' part removed
  by_activity threads{};          // how many threads did it, on average; without the parked ones
  double in_flight = 0;           // requests under way while it waited for the network
  double active = 0, parked = 0;  // threads
  double top_busy = 0;            // of the busiest thread: share of its time that it wanted to run

  crew burners, io;
  double gil_run = 0;       // CPUs wanted by processes in which threads wait for a GIL
  double gil_released = 0;  // threads that run in those at once, above one each
  double system_share = 0;  // of the CPU time: in the kernel
  double spinning = -1;
  runtime_kind runtime = runtime_kind::native;  // of most of the CPU time
  double runtime_processes = 0;                 // how many processes have a tenth of it or more
  double children_share = 0;  // of the CPU time: in processes that were born in the window
  bool has_loop = false;      // when it waits for answers or a time, then mostly in an event loop

  time_by_cause shares;
};

// Of the part between two moments, in seconds since the beginning.
activity_summary summarise(const observation& seen, double from, double to);

struct verdict {
  bottleneck cause = bottleneck::unsure;
  remedy advice = remedy::none;
  std::string why;
  double width = 1;
  diagnosis::range speedup;
};
// The rules, in order.
verdict judge(const activity_summary& window);

}  // namespace plait::detail

// plait/advise/diagnosis.hpp: from what was seen of a program to what holds it back and what would help.
//
//   const auto verdict = plait::diagnose(plait::observe(pid));
//   std::cout << plait::to_text(verdict.cause) << " -> " << plait::to_text(verdict.advice) << '\n';
//
// The rules know mechanisms only: who runs, who waits for what, and whether those that wait are those
// that run. Parts of the window are judged on their own; where they disagree the answer is unsure,
// with the reason, and so it is where nothing is clear. docs/advise.md has the rules in order.
//
// Threads:  any.
// Blocks:   never.
// Throws:   std::bad_alloc.
// Cost:     some milliseconds for each 100 threads and second that were observed.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "plait/advise/observation.hpp"

namespace plait {

enum class bottleneck {
  cpu,
  gil,
  lock,
  network,
  disk,
  sleep,
  mixed,           // computes and waits in turn
  oversubscribed,  // more threads want to run than there are CPUs
  starved,         // CPU taken by other programs, another virtual machine or a quota
  idle,            // nobody asks it for anything
  unsure,
};
const char* to_text(bottleneck cause) noexcept;

enum class remedy {
  threads,
  event_loop,
  processes,
  pipeline,
  fewer_workers,
  shrink_lock,
  deeper_io,
  keep,  // as it is: it has all that the machine can give
  none,  // nothing of this kind: it does not want more
};
const char* to_text(remedy advice) noexcept;  // "event-loop"

// Thread-time in the window, in seconds, by its cause. Threads that are parked for good are apart.
struct time_by_cause {
  double cpu = 0, waiting_for_cpu = 0, network = 0, disk = 0, locks = 0, gil = 0, sleeping = 0,
         children = 0, clients = 0, threads = 0, other = 0, parked = 0;
};

struct diagnosis {
  bottleneck cause = bottleneck::unsure;
  remedy advice = remedy::none;
  std::string why;        // one sentence
  std::size_t width = 1;  // how many at once, where the advice has a width
  struct range {
    double low = 1, high = 1;
  } speedup;          // throughput, as a multiple of today's
  double cores = 0;   // used on average
  double wanted = 0;  // that it would have used if the machine were its own
  time_by_cause shares;
  std::vector<std::string> evidence;
  enum class trust { low, medium, high } confidence = trust::high;
};

diagnosis diagnose(const observation& seen);

}  // namespace plait

// plait/advise/auto_report.hpp: what an auto_executor saw, what it chose, and what that gained.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>

#include "plait/advise/recommend.hpp"

namespace plait {

// Of one form of call: those that block, on threads, or those that await, on event loops.
struct auto_form_report {
  std::uint64_t calls = 0;      // that have begun
  std::size_t width = 0;        // at once, now
  std::size_t first_width = 0;  // before anything was known
  // Calls after which it was clear, and stayed so, whether they compute or wait; of coroutines those
  // that had ended when the width was first decided upon.
  std::uint64_t classified_after = 0;
  std::size_t changes = 0;  // of the width
  unsigned phases = 1;      // kinds of workload, one after the other
  // False while no call has had to wait for another: then the width made no difference.
  bool is_known = false;
  // Of one call; if not is_known, of the first 64 blocking ones.
  duration cpu{}, waited{}, waited_for_cpu{}, waited_for_locks{};
  double computing = 0;   // share of its own time
  double throughput = 0;  // calls a second; 0: not measured yet
  double gain = 0;        // over one call after another; 0: not measured yet
  enum class bound { unknown, cores, outside, limit, locks } bounded_by = bound::unknown;
};

struct auto_report {
  auto_form_report blocking, awaiting;
  std::size_t isolated_workers = 0, isolated_crashes = 0;
  recommendation advice;  // what the decision framework makes of the form that had more calls

  // A line for each form that had any calls.
  friend std::ostream& operator<<(std::ostream& out, const auto_report& report);
};

}  // namespace plait

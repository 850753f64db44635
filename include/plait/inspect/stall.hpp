// plait/inspect/stall.hpp: who hears of a task that blocks its loop.
//
//   plait::event_loop loop({.stall_after = std::chrono::milliseconds(100)});
//
// A loop that is given `stall_after` is watched: when it runs one task, or one call, for longer than
// that without coming back, the handler gets a report, once for each such run, while it still runs.
//
// Threads:  set_stall_handler from any; the handler runs on the thread that watches every loop.
// Cost:     per resumption about 60 ns on a watched loop, none on others; a watching thread that
//           sleeps while the watched loops do.
// See docs/inside.md.
#pragma once

#include <string>

#include "plait/core/clock.hpp"

namespace plait {

struct stall_report {
  std::string task;       // the task or call that runs, by its name or its function's
  std::string submitted;  // the function that submitted it; empty if not known
  duration running;       // for how long, so far
  int thread;             // the loop's, as the kernel counts
  std::string kernel;     // "on a CPU", or "asleep in " and where in the kernel; empty if not known
};
using stall_handler = void (*)(const stall_report&) noexcept;

// Returns the previous handler. The default writes one line to standard error; null restores it.
stall_handler set_stall_handler(stall_handler) noexcept;

}  // namespace plait

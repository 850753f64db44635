// plait/inspect/stall.hpp: who hears of a task that blocks its loop.
//
//   plait::event_loop loop({.stall_after = std::chrono::milliseconds(100)});
//
// A loop that is given `stall_after` is watched: when it runs one task, or one call, for longer than
// that without coming back, the handler gets a report, once for each such run, while it still runs.
//
// To say where it blocks, the loop's thread is sent a signal, which walks its stack: a real-time one
// that nobody used when the first watched loop was made, from SIGRTMAX-1 downwards. It is installed
// with SA_RESTART; what the kernel never restarts (poll, nanosleep ...) ends early with EINTR, as
// for any signal. A program without a watched loop has no such handler and gets no such signal.
//
// Threads:  set_stall_handler from any; the handler runs on the thread that watches every loop.
// Cost:     per resumption about 60 ns on a watched loop, none on others; a watching thread that
//           sleeps while the watched loops do.
// See docs/inside.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plait/core/clock.hpp"

namespace plait {

// Code that has been called and has not returned.
struct stack_frame {
  std::string function;   // demangled; a coroutine by its own name; empty if not known
  std::string file;       // of the program or library
  std::uint64_t address;  // in that file, as addr2line takes it
};
struct stall_report {
  std::string task;       // the task or call that runs, by its name or its function's
  std::string submitted;  // the function that submitted it; empty if not known
  duration running;       // for how long, so far
  int thread;             // the loop's, as the kernel counts
  std::string kernel;     // "on a CPU", or "asleep in " and where in the kernel; empty if not known
  // Where it was a moment ago, innermost first, down to what the loop runs; empty if not known.
  std::vector<stack_frame> stack;
};
using stall_handler = void (*)(const stall_report&) noexcept;

// Returns the previous handler. The default writes to standard error, a line and the stack; null
// restores it.
stall_handler set_stall_handler(stall_handler) noexcept;

}  // namespace plait

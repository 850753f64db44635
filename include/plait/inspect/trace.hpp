// plait/inspect/trace.hpp: a timeline of threads, tasks and workers, for ui.perfetto.dev or
// chrome://tracing.
//
//   PLAIT_TRACE=trace.json ./server       # any plait program; "%p" in the name is its process number
//
//   plait::trace::start("trace.json");    // or around what is of interest
//   ...
//   plait::trace::stop();
//
// Each call on a pool and each resumption of a task is a slice on its thread; a spawned task's life
// is a span of its own; calls of worker processes are slices of theirs, as their pool learns of them.
//
// Threads:  any. Blocks: stop() until the file is written.
// Throws:   start(): std::system_error when the file cannot be written, invalid_state when a trace is
//           being written already. A disk that is full later ends the trace with one line on standard
//           error, and nothing else.
// Cost:     off: nothing beside what inspect/door.hpp costs when it is closed. On: about 0.2 us a
//           slice, 0.5 MB a thread, and one thread that writes. What it cannot keep up with is left
//           out and counted: a traced program is not held up.
// Exit:     a program that ends by exit() or by returning from main completes its trace; what one that
//           is killed leaves behind lacks the end, which both viewers put up with.
// Source:   "Trace Event Format", Google, 2016.
// See docs/inside.md.
#pragma once

#include <string>

namespace plait::trace {

// How the file is opened. begin: empty. join: behind what another process is writing there, which
// began the file and will end it.
enum class file_mode { begin, join };

void start(const std::string& path, file_mode mode = file_mode::begin);
// Does nothing when no trace is being written.
void stop() noexcept;

}  // namespace plait::trace

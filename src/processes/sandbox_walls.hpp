// How a worker is shut in. Two walls, each of which holds alone against most attempts:
//
//   Landlock   which files can be opened (landlock.cpp)
//   seccomp    which system calls there are (system_call_filter.cpp)
//
// and no capabilities, no new privileges, no core dump. What a worker inherits is its own: the
// channel, one end of a socket, the pool's page for reading, the doorbell for ringing, a pipe as
// standard error.
#pragma once

#include "plait/processes/sandbox.hpp"

namespace plait::detail {

// In the pool's process. Throws sandbox_unavailable, or std::system_error about a path; returns the
// sandbox with absolute paths.
sandbox checked(sandbox wanted);
// In a worker, on its only thread, for good. Throws std::system_error.
void enter_sandbox(const sandbox& walls, int doorbell);

// The two walls. `*_missing`: what the kernel lacks, or nullptr.
const char* landlock_missing() noexcept;
void restrict_files(const sandbox& walls);
const char* filter_missing() noexcept;
void restrict_system_calls(const sandbox& walls, int doorbell);

}  // namespace plait::detail

// src/inspect/thread_state.hpp: what the kernel says of a thread: whether it computes or waits.
#pragma once

#include <string>

namespace plait::detail {

// Of a thread of this process: "on a CPU", "asleep in pipe_read" (where in the kernel), or nothing
// where the kernel does not tell.
std::string thread_state(int tid);

}  // namespace plait::detail

// src/inspect/thread_stack.hpp: where a thread of this program is, asked from another thread.
//
// The thread is sent a signal, whose handler walks the thread's own stack: nobody else can do that
// while the thread runs. The signal is a real-time one that nobody handled when we first needed one,
// looked for from SIGRTMAX-1 downwards; the handler stays installed, with SA_RESTART. It is not sent
// when the thread blocks it, nor when somebody has installed another action since.
//
// Threads:  any; one asks at a time, the others wait.
#pragma once

#include <vector>

namespace plait::detail {

// Takes a signal, the first time. Without, there is nothing to ask with.
void prepare_to_ask_for_stacks() noexcept;

// Addresses within the calls that the thread is in, innermost first; empty if it does not answer in
// half a second.
std::vector<const void*> stack_of_thread(int tid);

}  // namespace plait::detail

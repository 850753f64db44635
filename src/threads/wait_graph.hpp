// src/threads/wait_graph.hpp: who waits for whom, so that a wait that could never end is not begun.
//
// A worker that is about to block says for which state. If that state's call runs on a thread that
// is itself blocked, and so on round to the asking thread, the wait would close a circle of calls
// that wait for one another: it throws would_deadlock in place of blocking. Waits for one of several
// futures, and for results that no worker is computing, are ends of the search.
//
// Threads:  any; one mutex for the process, taken only by threads that are about to sleep.
#pragma once

#include "plait/core/state.hpp"

namespace plait::detail::wait_graph {

// The calling thread is about to block on `awaited` (null: on one of several). Throws
// would_deadlock; leave() is then not called.
void enter(const state_base* awaited);
void leave() noexcept;

}  // namespace plait::detail::wait_graph

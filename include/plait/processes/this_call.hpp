// plait/processes/this_call.hpp: what a running call of a process pool can know of itself.
//
// Somebody may want it to end: future::cancel(), a task that awaits it and is stopped, kill(), a
// timeout or a deadline with `stop_first`. A call that can take a std::stop_token
// as its first argument is given one, as std::jthread does; any other code asks here.
//
//   while (!plait::this_call::stop_token().stop_requested()) step();
//   throw plait::cancelled_error();     // the future is then cancelled; a value arrives as a value
//
// Threads:  any thread of the worker. Stop callbacks run on one of its own, which the first token of
//           a worker starts; it sleeps until a stop is asked for.
// Throws:   std::system_error when that thread cannot be started.
// Cost:     about 0.1 us; 30 us the first time in a worker. Nothing in calls that do not ask.
#pragma once

#include <stop_token>

namespace plait::this_call {

// Of the call that this worker runs. Elsewhere a token that nobody stops.
std::stop_token stop_token();

}  // namespace plait::this_call

// plait/processes/this_call.hpp: what a running call of a process pool can know of itself.
//
// Somebody may want it to end: future::cancel(), a task that awaits it and is stopped, kill(), a
// timeout or a deadline with `stop_first`. A call that can take a std::stop_token
// as its first argument is given one, as std::jthread does; any other code asks here.
//
//   while (!plait::this_call::stop_token().stop_requested()) step();
//   throw plait::cancelled_error();     // the future is then cancelled; a value arrives as a value
//
// And it may have something to say before it ends:
//
//   plait::this_call::report("page 3 of 10");   // process_call_options::on_report hears it
//
// Threads:  any thread of the worker. Stop callbacks run on one of its own, which the first token of
//           a worker starts; it sleeps until a stop is asked for.
// Throws:   std::system_error when that thread cannot be started.
// Cost:     about 0.1 us; 30 us the first time in a worker. Nothing in calls that do not ask.
#pragma once

#include <cstddef>
#include <stop_token>
#include <string_view>

namespace plait::this_call {

// Of the call that this worker runs. Elsewhere a token that nobody stops.
std::stop_token stop_token();

// The longest report, in bytes.
inline constexpr std::size_t report_limit = 64 * 1024;

// Hands `text`, any bytes, to the on_report of this call: in order, once, before the call's future has
// its result, also if the worker dies right afterwards. Waits while the report before it has not been
// heard. Nothing happens where nobody listens, outside of calls, and in a process that a call forked;
// a thread that outlives its call reports for whichever call runs then.
// Throws std::length_error for more than report_limit bytes: what is large belongs into the result.
// Cost: about 7 us, 2 ns where nobody listens; about 170,000 a second and worker.
void report(std::string_view text);

}  // namespace plait::this_call

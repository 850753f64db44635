// plait/processes/process_call_options.hpp: what can be said of a process pool's call beside its
// function and arguments.
//
//   pool.with({.timeout = 5s, .retries = 2}).submit(parse, file);
#pragma once

#include <functional>
#include <string_view>

#include "plait/core/clock.hpp"

namespace plait {

struct process_call_options {
  // For people: in error messages. Must outlive the call, as a literal does.
  const char* name = nullptr;
  // How long the call may run, each time that it is begun. After that its worker is killed, and the
  // future throws task_timeout. No other call is hit: those queued behind it move elsewhere.
  duration timeout = duration::max();
  // How long it may take from its submission to its result, in the queue and in all attempts.
  duration deadline = duration::max();
  // How long before it is killed the running call is asked to stop, through the std::stop_token of
  // plait/processes/this_call.hpp: by the timeout, the deadline and kill(). What it returns in that
  // time is its result; if it throws cancelled_error the future throws what it would have thrown
  // after the kill, and its worker lives on.
  duration stop_first = duration::zero();
  // How often more the call may begin after the process that ran it died. Only for calls that may
  // begin twice without harm. What the call throws is its result, and no reason to repeat it.
  unsigned retries = 0;
  // Hears what the running call says of itself by this_call::report(). Runs on the pool's own thread:
  // workers wait for it, so it is to be short, and it must not wait for calls of the pool. What it
  // throws is reported as unhandled. A call that begins again begins its reports again.
  std::function<void(std::string_view)> on_report = {};
};

}  // namespace plait

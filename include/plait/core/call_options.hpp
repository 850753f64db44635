// plait/core/call_options.hpp: what can be said of a call beside its function and arguments.
//
//   pool.with({.name = "thumbnail", .priority = plait::call_priority::high}).submit(shrink, image);
#pragma once

namespace plait {

// Among calls that have not begun, those of a higher priority begin first. A worker that has taken
// a batch of calls looks for high ones between any two.
enum class call_priority { high, normal, low };

struct call_options {
  // For people: in error messages and reports. Must outlive the call, as a literal does.
  const char* name = nullptr;
  call_priority priority = call_priority::normal;
  // When the executor's queue is full (thread_pool_options::max_pending).
  enum class full_queue { as_configured, refuse } if_full = full_queue::as_configured;
};

}  // namespace plait

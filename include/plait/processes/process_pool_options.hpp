// plait/processes/process_pool_options.hpp: what can be said of a pool and of its workers.
//
//   plait::process_pool_executor pool({.max_workers = 4, .initializer = load_model});
#pragma once

#include <cstddef>
#include <optional>

#include "plait/processes/sandbox.hpp"

namespace plait {

struct process_pool_options {
  // The most workers at once; 0: usable_cpu_count(). They start as calls need them.
  std::size_t max_workers = 0;
  // Runs in each new worker before its first call. If it throws or dies three times in a row,
  // the pool fails with initializer_failed.
  void (*initializer)() = nullptr;
  // A worker is replaced after this many calls; 0: never.
  std::size_t max_tasks_per_child = 0;
  // What calls are kept from doing, for untrusted input; without one they may do what you may.
  std::optional<plait::sandbox> sandbox = {};
};

}  // namespace plait

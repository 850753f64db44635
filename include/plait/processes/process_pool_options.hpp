// plait/processes/process_pool_options.hpp: what can be said of a pool and of its workers.
//
//   plait::process_pool_executor pool({.max_workers = 4, .initializer = load_model});
#pragma once

#include <cstddef>
#include <optional>

#include "plait/processes/sandbox.hpp"
#include "plait/processes/worker_limits.hpp"

namespace plait {

// Where a worker comes from. docs/processes.md compares them.
enum class start_method : unsigned char {
  // This program is started once more as a supervisor, after static initialisation and before main;
  // workers are forks of it. If a static initialiser starts a thread, the pool falls back to spawn.
  forkserver,
  // Each worker is this program started anew: a few milliseconds, and an address layout of its own.
  spawn,
  // The supervisor is a fork of this process as it is when the pool is made: workers see its memory
  // of then. Locks that other threads hold at that moment stay locked for ever in the workers.
  fork,
};

struct process_pool_options {
  // The most workers at once; 0: usable_cpu_count(). They start as calls need them.
  std::size_t max_workers = 0;
  start_method start = start_method::forkserver;
  // Runs in each new worker before its first call. If it throws or dies three times in a row,
  // the pool fails with initializer_failed.
  void (*initializer)() = nullptr;
  // A worker is replaced after this many calls; 0: never.
  std::size_t max_tasks_per_child = 0;
  // Each worker's count is that and a random number up to this, so that they do not all go at once.
  std::size_t max_tasks_jitter = 0;
  // A worker is replaced after a call that leaves it with more bytes of memory of its own than this
  // (resident, without code and shared arrays); 0: never. It is looked at after every call of 2 ms,
  // and at least every 2 ms among shorter ones.
  std::size_t max_rss_per_child = 0;
  // What each worker may take: memory, CPU time, files, processes.
  worker_limits limits = {};
  // What calls are kept from doing, for untrusted input; without one they may do what you may.
  std::optional<plait::sandbox> sandbox = {};
};

}  // namespace plait

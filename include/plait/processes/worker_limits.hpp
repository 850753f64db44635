// plait/processes/worker_limits.hpp: how much of the machine a pool's workers may take.
//
//   plait::process_pool_executor pool({.limits = {.address_space = 2 << 30, .cpu_time = 60s}});
//
// Every member is of each worker. What is not set is as in your program, but for oom_score_adj.
//
// When:   in the worker before the pool's initializer. Processes that a call starts have the same
//         limits. Code without privileges cannot lift one, but may leave its control group if it means
//         to: for hostile input add process_pool_options::sandbox.
// Throws: the pool's constructor: std::invalid_argument for what no worker could have;
//         limits_unavailable where no control group can be made. What the kernel refuses later, as a
//         limit above your program's own, breaks the pool with limits_unavailable before any call.
// Cost:   about 1 us for each that is set, at a worker's start; a control group about 0.1 ms.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "plait/core/clock.hpp"

namespace plait {

// A control group (cgroup v2) around each worker and what its calls start. With no member set it
// still ends, with the worker, every process that a call left behind.
struct control_group {
  // Bytes of memory, page cache included, and no swap beside them. At the end of it the kernel kills
  // the worker, and its call throws worker_crashed with crash_cause::out_of_memory.
  std::optional<std::size_t> memory = {};
  // Processes and threads; more are refused with EAGAIN.
  std::optional<std::size_t> processes = {};
  // CPUs' worth of time: 0.5 is half of one, 2.5 two and a half. At least 0.01.
  std::optional<double> cpus = {};
};

struct worker_limits {
  // Bytes beyond what a worker has mapped when it starts. Then allocations fail: the call throws
  // std::bad_alloc, and the worker lives. Not under AddressSanitizer and ThreadSanitizer, which
  // reserve terabytes.
  std::optional<std::size_t> address_space = {};
  // Of a worker's whole life, in its user and system time, rounded up to seconds. The call that runs
  // at its end throws worker_crashed with crash_cause::cpu_limit. See also process_call_options::timeout.
  std::optional<duration> cpu_time = {};
  // The number of open files, at least 16: a worker needs some itself.
  std::optional<std::size_t> open_files = {};
  // Bytes to which a file may grow. Beyond it a write fails with EFBIG. Binds results above 32 KiB
  // and arrays that a call makes as well: they are files in memory.
  std::optional<std::size_t> file_size = {};
  // Bytes of a core file; 0: none is written.
  std::optional<std::size_t> core_size = {};
  // -20 (most favoured) to 19. Less than your program's takes a privilege.
  std::optional<int> nice = {};
  // The numbers of the CPUs that it may run on; empty: as your program.
  std::vector<int> cpus = {};
  // -1000 to 1000, as in /proc/PID/oom_score_adj. If it is not set, 500 more than your program's, so
  // that the kernel, out of memory, kills a worker and not your program.
  std::optional<int> oom_score_adj = {};
  std::optional<control_group> group = {};
};

}  // namespace plait

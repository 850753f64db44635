// The process that workers come from, and their parent: it alone reaps them, and reports how each
// died. It has one thread, and where it comes from depends on the pool's start method.
//
//   forkserver  pool ──posix_spawn──▶ zygote ──fork──▶ worker     (this program, entered before main)
//   spawn       pool ──posix_spawn──▶ zygote ──fork, exec──▶ worker
//   fork        pool ──fork──▶ zygote ──fork──▶ worker
//
// It holds nothing of the user's program but what static initialisation builds (or, of a fork, what
// the user chose to have), so forking it is safe and costs 0.1 ms. If the pool's process ends in any
// way the kernel kills the zygote, and then the workers.
//
// Packets over one SOCK_SEQPACKET socket. The pool sends `greeting` first, encoded, then commands;
// the zygote answers with reports. Its end of file ends the zygote. A worker that is started by exec
// gets the same greeting from the zygote, with its own descriptors added.
#pragma once

#include <cstdint>

#include "plait/processes/errors.hpp"
#include "plait/processes/process_pool_options.hpp"
#include "processes/worker_profile.hpp"

namespace plait::detail {

// Sent with the descriptors of the pool's page, of its doorbell and of its list of modules.
struct greeting {
  std::uint64_t nonce;
  worker_profile profile;
  std::uint32_t depth;  // of pools within pools' workers
  start_method start;
};

// spawn: "fork a worker for this seat", with descriptors: channel, the worker's socket, its stderr.
// kill: "end the worker of this seat", for a pool that has no handle of it.
struct zygote_command {
  enum class kind : std::uint32_t { spawn, kill } what;
  std::uint32_t seat;
  std::uint32_t generation;
};

struct zygote_report {
  enum class kind : std::uint32_t { ready, refused, spawned, not_spawned, died } what;
  std::uint32_t seat;
  std::uint32_t generation;
  std::int32_t pid;
  std::int32_t status;   // died: as wait() gives it; not_spawned: errno
  std::uint64_t nonce;   // ready
  start_method start;    // ready: how workers will be started
  resource_usage usage;  // died
  char text[400];        // refused
};

// The environment variable that makes a zygote or a worker of this program: launch.cpp.
inline constexpr char zygote_variable[] = "PLAIT_WORKER";
// How many pools this process is within: 0 in the user's program, 1 in a worker of its pool ...
extern std::uint32_t nesting_depth;
inline constexpr std::uint32_t max_nesting_depth = 10;
// True once a zygote was entered here: in it, and in the workers that it forked.
extern bool is_zygote_or_worker;

// Where a zygote's memory comes from.
enum class zygote_origin { exec, fork };
[[noreturn]] void run_zygote(int socket, int parent, std::uint64_t nonce, zygote_origin origin);
// In this program, started anew by a zygote.
[[noreturn]] void run_started_worker(int socket, int parent);

}  // namespace plait::detail

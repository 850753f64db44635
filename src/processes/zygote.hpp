// The process that workers are forked from: this program, entered before main, with one thread.
//
//   pool ──posix_spawn──▶ zygote ──fork──▶ worker, worker ...
//
// It holds nothing of the user's program but what static initialisation builds, so forking it is
// safe and costs 0.1 ms. It is the workers' parent: it alone reaps them, and reports how each died.
// If the pool's process ends in any way the kernel kills the zygote, and then the workers.
//
// Packets over one SOCK_SEQPACKET socket. The pool sends `greeting` first, encoded, then commands;
// the zygote answers with reports. Its end of file ends the zygote.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plait/processes/errors.hpp"
#include "processes/module_table.hpp"
#include "processes/worker_profile.hpp"

namespace plait::detail {

// Sent with the descriptors of the pool's page and of its doorbell.
struct greeting {
  std::uint64_t nonce;
  worker_profile profile;
  std::uint32_t depth;  // of pools within pools' workers
  std::vector<module_identity> modules;
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
  resource_usage usage;  // died
  char text[400];        // refused
};

// The environment variable that makes a zygote of this program: "fd:parent's pid:nonce".
inline constexpr char zygote_variable[] = "PLAIT_WORKER";
// How many pools this process is within: 0 in the user's program, 1 in a worker of its pool ...
extern std::uint32_t nesting_depth;
inline constexpr std::uint32_t max_nesting_depth = 10;
// True once a zygote was entered here: in it, and in the workers that it forked.
extern bool is_zygote_or_worker;

[[noreturn]] void run_zygote(int socket, int parent, std::uint64_t nonce);

}  // namespace plait::detail

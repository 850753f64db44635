// The cgroup v2 groups of a pool's workers: one of the pool, one of each worker in it.
//
//   our group, or the one above it ── plait-PID-NUMBER ── worker number 1, 2 ...
//
// The kernel gives the children of a group limits only if the group has no processes itself. So a
// group for limits is made beside ours, in the group above, if that has been delegated to us; one
// without limits may be below ours. The pool makes a worker's group before it asks for the worker,
// which puts itself in before it does anything else.
//
// Whoever has a pool's group locked (flock) is alive; groups of programs that were killed are
// removed by the next pool that is made beside them.
// Source: Documentation/admin-guide/cgroup-v2.rst.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plait/processes/worker_limits.hpp"
#include "processes/descriptor.hpp"

namespace plait::detail {

// `root` stands before every path everywhere: a test has a tree of its own.
class control_groups {
 public:
  // Throws limits_unavailable.
  explicit control_groups(const control_group& limits, std::string root = {});
  control_groups(const control_groups&) = delete;
  // Ends all processes in them, and waits a little for the kernel to be done with it.
  ~control_groups();

  const std::string& folder() const noexcept { return folder_; }
  // Throws std::system_error.
  void make(std::uint64_t number);
  // Ends what is left in it. Returns how many of it the kernel had killed for want of memory.
  std::uint64_t remove(std::uint64_t number);

 private:
  std::string make_in(const std::string& parent);  // why not; empty: done
  void limit(const std::string& folder);

  const control_group limits_;
  const std::string root_;
  std::vector<std::string> controllers_;  // those that the limits need
  std::string folder_;
  descriptor lock_;
  std::vector<std::string> leftovers_;  // not yet empty when they were to be removed
};

std::string control_group_folder(const std::string& pool, std::uint64_t number);
// Puts this process into a worker's group. Throws std::system_error.
void enter_control_group(const std::string& folder);

// How many processes were killed for want of memory so far, counted as near to us as the kernel
// counts: in our control group (v2, then v1), else on the machine. 0 where nobody counts.
std::uint64_t out_of_memory_kills(const std::string& root = {});

}  // namespace plait::detail

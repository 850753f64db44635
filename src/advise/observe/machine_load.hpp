// src/advise/observe/machine_load.hpp: how busy the CPUs are that a process may use, and with whose work.
#pragma once

#include <string>
#include <vector>

#include "plait/advise/observation.hpp"

namespace plait::detail {

class machine_load {
 public:
  explicit machine_load(int pid);
  // Affinity, cut by a cgroup's quota.
  double cpus() const noexcept { return cpus_; }
  double quota() const noexcept { return quota_; }  // 0: none
  // A process may be moved to another group, or do so itself before it begins.
  void follow();
  // Since construction; `at` is the caller's.
  machine_reading read(float at) const;

 private:
  machine_reading absolute() const;
  void find_groups();
  int pid_;
  std::string groups_;        // as the kernel lists them
  std::vector<int> allowed_;  // sorted
  std::vector<std::string> throttle_files_;
  double cpus_ = 1, quota_ = 0;
  machine_reading first_;
};

}  // namespace plait::detail

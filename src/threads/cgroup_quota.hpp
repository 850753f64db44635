// src/threads/cgroup_quota.hpp: how many CPUs' worth of time the kernel grants this process.
//
// The tightest quota between the process's control group and the root of what is mounted, of cgroup
// v2 (cpu.max) and v1 (cpu.cfs_quota_us over cpu.cfs_period_us); infinity where there is none.
// In a container the group's path is the host's and may not exist here: the mount's own root counts.
// Source: Documentation/admin-guide/cgroup-v2.rst, Documentation/scheduler/sched-bwc.rst.
#pragma once

#include <string>

namespace plait::detail {

// `root` stands before /proc/self/cgroup and /sys/fs/cgroup: a test has a tree of its own. `process` is
// another process's number.
double cgroup_cpu_quota(const std::string& root = {}, const std::string& process = "self");

}  // namespace plait::detail

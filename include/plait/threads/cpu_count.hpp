// plait/threads/cpu_count.hpp: how many threads can really run at once here.
#pragma once

#include <cstddef>

namespace plait {

// The CPUs this process may use: the affinity mask, cut by the cgroup's CPU quota (v1 and v2,
// rounded up). At least 1. Read anew at each call, about 20 us.
// Source: sched_getaffinity(2); Documentation/admin-guide/cgroup-v2.rst, "cpu.max".
std::size_t usable_cpu_count();

}  // namespace plait

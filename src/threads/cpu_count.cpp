#include "plait/threads/cpu_count.hpp"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "threads/cgroup_quota.hpp"

namespace plait {
namespace {

std::size_t cpus_of_affinity() {
  // The mask may be larger than cpu_set_t on big machines: grow until the kernel is content.
  for (int cpus = 1024; cpus <= 1 << 20; cpus *= 4) {
    cpu_set_t* set = CPU_ALLOC(cpus);
    if (set == nullptr) break;
    const std::size_t bytes = CPU_ALLOC_SIZE(cpus);
    const bool known = sched_getaffinity(0, bytes, set) == 0;
    const int count = known ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (known) return static_cast<std::size_t>(std::max(1, count));
  }
  return static_cast<std::size_t>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
}

}  // namespace

std::size_t usable_cpu_count() {
  const std::size_t cpus = cpus_of_affinity();
  const double quota = std::ceil(detail::cgroup_cpu_quota());
  return quota >= static_cast<double>(cpus)
             ? cpus
             : std::max<std::size_t>(1, static_cast<std::size_t>(quota));
}

}  // namespace plait

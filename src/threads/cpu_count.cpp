#include "plait/threads/cpu_count.hpp"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <string>

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

constexpr double unlimited = std::numeric_limits<double>::infinity();

double quota_v2(const std::string& folder) {
  std::ifstream file(folder + "/cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return unlimited;
  return std::strtod(quota.c_str(), nullptr) / period;
}

double quota_v1(const std::string& folder) {
  std::ifstream quota_file(folder + "/cpu.cfs_quota_us"),
      period_file(folder + "/cpu.cfs_period_us");
  double quota = 0, period = 0;
  if (!(quota_file >> quota) || !(period_file >> period) || quota <= 0 || period <= 0)
    return unlimited;
  return quota / period;
}

// A quota anywhere between our group and the root binds us.
template <class Quota>
double tightest(const std::string& mount, std::string path, Quota quota) {
  double least = quota(mount);
  while (path.size() > 1) {
    least = std::min(least, quota(mount + path));
    path.resize(path.rfind('/'));
  }
  return least;
}

double cpus_of_cgroup() {
  double least = unlimited;
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // "0::/path" or "4:cpu,cpuacct:/path"
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string path = line.substr(second + 1);
    if (controllers == ",,")
      least = std::min(least, tightest("/sys/fs/cgroup", path, quota_v2));
    else if (controllers.find(",cpu,") != std::string::npos)
      least = std::min({least, tightest("/sys/fs/cgroup/cpu", path, quota_v1),
                        tightest("/sys/fs/cgroup/cpu,cpuacct", path, quota_v1)});
  }
  return least;
}

}  // namespace

std::size_t usable_cpu_count() {
  const std::size_t cpus = cpus_of_affinity();
  const double quota = std::ceil(cpus_of_cgroup());
  return quota >= static_cast<double>(cpus)
             ? cpus
             : std::max<std::size_t>(1, static_cast<std::size_t>(quota));
}

}  // namespace plait

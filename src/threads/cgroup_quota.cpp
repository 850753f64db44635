#include "threads/cgroup_quota.hpp"

#include <algorithm>
#include <fstream>
#include <limits>

namespace plait::detail {
namespace {

constexpr double unlimited = std::numeric_limits<double>::infinity();

double quota_v2(const std::string& folder) {
  std::ifstream file(folder + "/cpu.max");
  double quota = 0, period = 0;
  if (!(file >> quota >> period) || quota <= 0 || period <= 0) return unlimited;  // "max 100000"
  return quota / period;
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

}  // namespace

double cgroup_cpu_quota(const std::string& root, const std::string& process) {
  double least = unlimited;
  const std::string mounts = root + "/sys/fs/cgroup";
  std::ifstream groups(root + "/proc/" + process + "/cgroup");
  for (std::string line; std::getline(groups, line);) {  // "0::/path" or "4:cpu,cpuacct:/path"
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos || line.find('/', second) != second + 1) continue;
    const std::string controllers = ',' + line.substr(first + 1, second - first - 1) + ',';
    const std::string path = line.substr(second + 1);
    if (controllers == ",,")
      least = std::min(least, tightest(mounts, path, quota_v2));
    else if (controllers.find(",cpu,") != std::string::npos)
      least = std::min({least, tightest(mounts + "/cpu", path, quota_v1),
                        tightest(mounts + "/cpu,cpuacct", path, quota_v1)});
  }
  return least;
}

}  // namespace plait::detail

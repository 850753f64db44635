#include "advise/observe/machine_load.hpp"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "advise/observe/proc_file.hpp"
#include "threads/cgroup_quota.hpp"

namespace plait::detail {
namespace {

std::vector<int> cpus_of(int pid) {
  std::vector<int> allowed;
  constexpr int most = 8192;
  cpu_set_t* set = CPU_ALLOC(most);
  if (set != nullptr && sched_getaffinity(pid, CPU_ALLOC_SIZE(most), set) == 0)
    for (int cpu = 0; cpu < most; ++cpu)
      if (CPU_ISSET_S(static_cast<std::size_t>(cpu), CPU_ALLOC_SIZE(most), set))
        allowed.push_back(cpu);
  CPU_FREE(set);
  return allowed;
}

// cpu.stat of every group around a process, of cgroup v2 and v1.
std::vector<std::string> throttle_files_of(int pid) {
  std::vector<std::string> files;
  std::istringstream groups(read_whole("/proc/" + std::to_string(pid) + "/cgroup"));
  for (std::string line; std::getline(groups, line);) {
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (second == line.npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool unified = controllers == ",,";
    if (!unified && controllers.find(",cpu,") == line.npos) continue;
    for (std::string path = line.substr(second + 1); path.size() > 1; path.resize(path.rfind('/')))
      for (const char* mount :
           {"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup"}) {
        const std::string file = mount + path + "/cpu.stat";
        if (access(file.c_str(), R_OK) == 0) {
          files.push_back(file);
          break;
        }
      }
  }
  return files;
}

double throttled_seconds(const std::string& file) {
  const std::string text = read_whole(file);
  for (const auto& [key, scale] : {std::pair{"throttled_usec", 1e-6}, {"throttled_time", 1e-9}}) {
    const auto at = text.find(key);
    if (at == text.npos) continue;
    std::string_view rest = std::string_view(text).substr(at + std::string_view(key).size());
    return scale * static_cast<double>(next_number(rest));
  }
  return 0;
}

}  // namespace

machine_load::machine_load(int pid) : pid_(pid), allowed_(cpus_of(pid)) {
  find_groups();
  first_ = absolute();
}

void machine_load::find_groups() {
  groups_ = read_whole("/proc/" + std::to_string(pid_) + "/cgroup");
  throttle_files_ = throttle_files_of(pid_);
  const double quota = cgroup_cpu_quota({}, std::to_string(pid_));
  quota_ = std::isfinite(quota) ? quota : 0;
  cpus_ = std::max<double>(1, static_cast<double>(allowed_.size()));
  if (quota_ > 0) cpus_ = std::min(cpus_, quota_);
}

void machine_load::follow() {
  const std::string groups = read_whole("/proc/" + std::to_string(pid_) + "/cgroup");
  if (groups.empty() || groups == groups_) return;
  const double before = absolute().throttled - first_.throttled;
  find_groups();
  first_.throttled = absolute().throttled - before;
}

machine_reading machine_load::absolute() const {
  machine_reading sum;
  static const double tick = 1.0 / static_cast<double>(sysconf(_SC_CLK_TCK));
  const std::string text = read_whole("/proc/stat");
  std::string_view rest = text;
  while (!rest.empty()) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (!line.starts_with("cpu")) break;
    if (line.starts_with("cpu ")) continue;
    const auto cpu = static_cast<int>(next_number(line));
    if (!std::binary_search(allowed_.begin(), allowed_.end(), cpu)) continue;
    double fields[8];
    for (double& field : fields) field = tick * static_cast<double>(next_number(line));
    sum.busy += fields[0] + fields[1] + fields[2] + fields[5] + fields[6];
    sum.stolen += fields[7];
  }
  for (const auto& file : throttle_files_)
    sum.throttled = std::max(sum.throttled, throttled_seconds(file));
  return sum;
}

machine_reading machine_load::read(float at) const {
  const machine_reading now = absolute();
  return {at, now.busy - first_.busy, now.stolen - first_.stolen, now.throttled - first_.throttled};
}

}  // namespace plait::detail

#include "cli/machine.hpp"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <vector>

#include "cli/units.hpp"
#include "plait/threads/cpu_count.hpp"

namespace plait::cli {
namespace {

std::string processor_name() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    if (!line.starts_with("model name")) continue;
    const auto colon = line.find(": ");
    return colon == std::string::npos ? "" : line.substr(colon + 2);
  }
  return "";
}

// This process's folder under the cgroup v2 mount or v1's pids controller, from the leaf upwards.
std::optional<std::uint64_t> cgroup_task_limit() {
  std::ifstream groups("/proc/self/cgroup");
  std::optional<std::uint64_t> lowest;
  for (std::string line; std::getline(groups, line);) {
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (!controllers.empty() && controllers.find("pids") == std::string::npos) continue;
    const std::string mount = controllers.empty() ? "/sys/fs/cgroup" : "/sys/fs/cgroup/pids";
    for (std::string folder = line.substr(second + 1); !folder.empty();
         folder.resize(folder == "/" ? 0 : std::max<std::size_t>(folder.rfind('/'), 0))) {
      if (const auto limit = read_number(mount + folder + "/pids.max"))
        lowest = std::min(lowest.value_or(*limit), *limit);
    }
  }
  return lowest;
}

}  // namespace

machine_facts examine_machine() {
  machine_facts facts;
  utsname names{};
  if (uname(&names) == 0) facts.system = fmt::format("{} {}", names.sysname, names.release);
  facts.processor = processor_name();
  facts.cpus = usable_cpu_count();
  facts.memory_bytes = read_kilobytes("/proc/meminfo", "MemTotal");
  return facts;
}

descriptor_limit raise_descriptor_limit(std::uint64_t wanted) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  descriptor_limit result{limit.rlim_cur, limit.rlim_cur, limit.rlim_max};
  if (limit.rlim_max < wanted) {
    const rlimit more{wanted, wanted};  // with CAP_SYS_RESOURCE, up to fs.nr_open
    if (setrlimit(RLIMIT_NOFILE, &more) == 0) return {result.before, wanted, wanted};
  }
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) == 0) result.now = limit.rlim_max;
  return result;
}

std::uint64_t ephemeral_ports() {
  std::ifstream range("/proc/sys/net/ipv4/ip_local_port_range");
  std::uint64_t first = 32768, last = 60999;
  range >> first >> last;
  return last >= first ? last - first + 1 : 0;
}

std::string describe_task_limit(std::uint64_t held) {
  rlimit addresses{};
  const auto mapped = read_kilobytes("/proc/self/status", "VmSize");
  if (getrlimit(RLIMIT_AS, &addresses) == 0 && addresses.rlim_cur != RLIM_INFINITY &&
      mapped + mapped / 10 > addresses.rlim_cur)
    return fmt::format("ulimit -v = {}", grouped(addresses.rlim_cur / 1024));
  // The kernel says only EAGAIN. The limit that stands closest above what is there is the one.
  struct candidate {
    std::uint64_t limit;
    std::string name;
  };
  std::vector<candidate> candidates;
  rlimit processes{};
  if (getrlimit(RLIMIT_NPROC, &processes) == 0 && processes.rlim_cur != RLIM_INFINITY)
    candidates.push_back({processes.rlim_cur, "ulimit -u"});
  if (const auto n = cgroup_task_limit()) candidates.push_back({*n, "the cgroup's pids.max"});
  if (const auto n = read_number("/proc/sys/kernel/threads-max"))
    candidates.push_back({*n, "kernel.threads-max"});
  if (const auto n = read_number("/proc/sys/kernel/pid_max"))
    candidates.push_back({*n, "kernel.pid_max"});
  // A thread's stack and its guard page are two mappings.
  if (const auto n = read_number("/proc/sys/vm/max_map_count"))
    candidates.push_back({*n / 2, "vm.max_map_count / 2"});
  std::erase_if(candidates, [&](const candidate& c) { return c.limit < held; });
  if (candidates.empty()) return "the kernel refused one more";
  const auto& closest = *std::min_element(candidates.begin(), candidates.end(),
                                          [](auto& a, auto& b) { return a.limit < b.limit; });
  return fmt::format("{} = {}", closest.name, grouped(closest.limit));
}

std::optional<std::uint64_t> read_number(const std::string& path) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  if (file >> number) return number;
  return std::nullopt;
}

std::uint64_t read_kilobytes(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key + ":")) continue;
    std::uint64_t kilobytes = 0;
    std::istringstream(line.substr(key.size() + 1)) >> kilobytes;
    return kilobytes * 1024;
  }
  return 0;
}

}  // namespace plait::cli

#include "processes/control_groups.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <new>
#include <sstream>
#include <utility>

#include "plait/processes/errors.hpp"

namespace plait::detail {
namespace {

constexpr char prefix[] = "plait-";
constexpr int removal_tries = 200, removal_pause_ms = 5;
constexpr double cpu_period_us = 100'000;

// errno, or 0.
int write_file(const std::string& path, const std::string& text) noexcept {
  const descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file) return errno;
  return write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0
                                                                                          : errno;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The number behind a word at the beginning of a line; 0 if there is none.
std::uint64_t number_after(const std::string& word, const std::string& path) {
  std::ifstream file(path);
  std::string key;
  for (std::uint64_t value = 0; file >> key >> value;)
    if (key == word) return value;
  return 0;
}

bool has_word(const std::string& list, const std::string& word) {
  std::istringstream words(list);
  return std::find(std::istream_iterator<std::string>(words), {}, word) !=
         std::istream_iterator<std::string>();
}

// A mounted hierarchy, and our place in it.
struct hierarchy {
  std::string mount, own;  // folders; empty: there is none
};

// The line of /proc/self/cgroup: "0::/path" of v2, "4:memory,hugetlb:/path" of v1.
std::string own_path(const std::string& root, const std::string& controller) {
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    if (controllers == "," + controller + ",") return line.substr(second + 1);
    if (!controller.empty() && controllers.find("," + controller + ",") != std::string::npos)
      return line.substr(second + 1);
  }
  return {};
}

// controller: empty for v2.
hierarchy find_hierarchy(const std::string& root, const std::string& controller) {
  std::string path = own_path(root, controller);
  if (path.empty()) return {};
  std::ifstream mounts(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    // 36 35 98:0 /its/root /its/mount/point rw,noatime master:1 - cgroup2 cgroup2 rw
    const auto dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::string skipped, from, at, type, source, options;
    std::istringstream(line.substr(0, dash)) >> skipped >> skipped >> skipped >> from >> at;
    std::istringstream(line.substr(dash + 3)) >> type >> source >> options;
    if (type != (controller.empty() ? "cgroup2" : "cgroup")) continue;
    std::replace(options.begin(), options.end(), ',', ' ');
    if (!controller.empty() && !has_word(options, controller)) continue;
    // In a container the path may be the host's, and what is mounted a part of its tree.
    if (from != "/" && path.starts_with(from)) path.erase(0, from.size());
    if (path == "/" || path.starts_with("/..")) path.clear();
    const std::string mount = root + at;
    struct stat there {};
    return {mount, stat((mount + path).c_str(), &there) == 0 ? mount + path : mount};
  }
  return {};
}

std::vector<std::string> subfolders(const std::string& folder) {
  std::vector<std::string> names;
  DIR* const all = opendir(folder.c_str());
  if (all == nullptr) return names;
  while (const dirent* entry = readdir(all))
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  closedir(all);
  return names;
}

void kill_all(const std::string& group) {
  const descriptor file(open((group + "/cgroup.kill").c_str(), O_WRONLY | O_CLOEXEC));
  if (file && write(file.get(), "1", 1) == 1) return;
  // Before Linux 5.14. Who forks faster than this is caught when the group is removed at last.
  std::ifstream members(group + "/cgroup.procs");
  for (pid_t pid = 0; members >> pid;)
    if (pid > 1) ::kill(pid, SIGKILL);
}

// Waits for the kernel to have buried what was killed, then removes it.
void remove_when_empty(const std::string& group) {
  if (rmdir(group.c_str()) == 0 || errno != EBUSY) return;
  const descriptor events(open((group + "/cgroup.events").c_str(), O_RDONLY | O_CLOEXEC));
  for (int tries = 0; tries < removal_tries; ++tries) {
    char text[256];
    [[maybe_unused]] const auto n =
        pread(events.get(), text, sizeof text, 0);  // or poll() returns at once
    kill_all(group);
    pollfd change{events.get(), POLLPRI, 0};
    poll(&change, 1, removal_pause_ms);
    if (rmdir(group.c_str()) == 0 || errno != EBUSY) return;
  }
}

void remove_tree(const std::string& group) {
  const auto children = subfolders(group);
  for (const auto& child : children) kill_all(group + "/" + child);
  for (const auto& child : children) remove_when_empty(group + "/" + child);
  remove_when_empty(group);
}

// Of programs that were killed: nobody holds their locks.
void remove_abandoned(const std::string& parent) {
  for (const auto& name : subfolders(parent)) {
    if (!name.starts_with(prefix)) continue;
    const std::string group = parent + "/" + name;
    const descriptor folder(open(group.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder && flock(folder.get(), LOCK_EX | LOCK_NB) == 0) remove_tree(group);
  }
}

std::string because(int error) { return std::string(": ") + strerrordesc_np(error); }

}  // namespace

control_groups::control_groups(const control_group& limits, std::string root)
    : limits_(limits), root_(std::move(root)) {
  if (limits.memory) controllers_.push_back("memory");
  if (limits.processes) controllers_.push_back("pids");
  if (limits.cpus) controllers_.push_back("cpu");
  const hierarchy here = find_hierarchy(root_, {});
  if (here.own.empty())
    throw limits_unavailable(
        "process pool: limits.group needs cgroup v2, which is not mounted here");
  const std::string reason = make_in(here.own);
  if (reason.empty()) return;
  std::string above;
  if (here.own != here.mount) {
    above = make_in(here.own.substr(0, here.own.rfind('/')));
    if (above.empty()) return;
    above = "; " + above;
  }
  throw limits_unavailable(
      "process pool: limits.group: no control group can be made for the workers: " + reason +
      above +
      ". Start the program in a group below one that is delegated to it (systemd: Delegate=yes and "
      "DelegateSubgroup=main in the unit), or leave limits.group out");
}

std::string control_groups::make_in(const std::string& parent) {
  const std::string there = read_file(parent + "/cgroup.controllers");
  const std::string switched_on = read_file(parent + "/cgroup.subtree_control");
  std::string to_switch_on;
  for (const auto& name : controllers_) {
    if (!has_word(there, name))
      return parent + " has no controller \"" + name + "\"" +
             (there.empty() || there == "\n" ? ", as with cgroup v1" : "");
    if (!has_word(switched_on, name)) to_switch_on += (to_switch_on.empty() ? "+" : " +") + name;
  }
  if (!to_switch_on.empty()) {
    const int error = write_file(parent + "/cgroup.subtree_control", to_switch_on);
    if (error == EBUSY)
      return parent + " has processes of its own, so that groups in it get no limits";
    if (error != 0) return parent + "/cgroup.subtree_control cannot be written" + because(error);
  }
  remove_abandoned(parent);
  static std::atomic<unsigned> pools{0};
  std::string folder;
  int failed = 0;
  do {
    folder = parent + "/" + prefix + std::to_string(getpid()) + "-" +
             std::to_string(pools.fetch_add(1, std::memory_order_relaxed));
    failed = mkdir(folder.c_str(), 0755);
  } while (failed != 0 && errno == EEXIST);
  if (failed != 0) return "no group can be made in " + parent + because(errno);
  lock_ = descriptor(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock_ || flock(lock_.get(), LOCK_EX | LOCK_NB) != 0)
    return folder + " cannot be locked" + because(errno);
  folder_ = folder;
  std::string all;
  for (const auto& name : controllers_) all += (all.empty() ? "+" : " +") + name;
  const int error = all.empty() ? 0 : write_file(folder + "/cgroup.subtree_control", all);
  if (error == 0) return {};
  rmdir(folder.c_str());
  folder_.clear();
  return folder + "/cgroup.subtree_control cannot be written" + because(error);
}

control_groups::~control_groups() {
  try {
    if (!folder_.empty()) remove_tree(folder_);
  } catch (const std::bad_alloc&) {  // the next pool finds it
  }
}

void control_groups::make(std::uint64_t number) {
  const std::string folder = control_group_folder(folder_, number);
  if (mkdir(folder.c_str(), 0755) != 0) throw_errno("cannot make a worker's control group");
  try {
    limit(folder);
  } catch (...) {
    rmdir(folder.c_str());
    throw;
  }
}

void control_groups::limit(const std::string& folder) {
  const auto set = [&](const char* file, const std::string& value) {
    errno = write_file(folder + "/" + file, value);
    if (errno != 0) throw_errno(("cannot set " + (file + (" of " + folder))).c_str());
  };
  if (limits_.memory) {
    set("memory.max", std::to_string(*limits_.memory));
    set("memory.oom.group", "1");
    write_file(folder + "/memory.swap.max", "0");  // a kernel without swap has no such file
  }
  if (limits_.processes) set("pids.max", std::to_string(*limits_.processes));
  if (limits_.cpus)
    set("cpu.max", std::to_string(static_cast<std::uint64_t>(*limits_.cpus * cpu_period_us)) + " " +
                       std::to_string(static_cast<std::uint64_t>(cpu_period_us)));
}

std::uint64_t control_groups::remove(std::uint64_t number) {
  const std::string folder = control_group_folder(folder_, number);
  const std::uint64_t killed = number_after("oom_kill", folder + "/memory.events");
  kill_all(folder);
  leftovers_.push_back(folder);
  std::erase_if(leftovers_, [](const std::string& group) {
    return rmdir(group.c_str()) == 0 || errno != EBUSY;
  });
  return killed;
}

std::string control_group_folder(const std::string& pool, std::uint64_t number) {
  return pool + "/worker-" + std::to_string(number);
}

void enter_control_group(const std::string& folder) {
  errno = write_file(folder + "/cgroup.procs", "0");
  if (errno != 0) throw_errno(("cannot enter the control group " + folder).c_str());
}

std::uint64_t out_of_memory_kills(const std::string& root) {
  struct stat there {};
  if (const hierarchy v2 = find_hierarchy(root, {}); !v2.own.empty())
    if (const auto file = v2.own + "/memory.events"; stat(file.c_str(), &there) == 0)
      return number_after("oom_kill", file);
  if (const hierarchy v1 = find_hierarchy(root, "memory"); !v1.own.empty())
    if (const auto file = v1.own + "/memory.oom_control"; stat(file.c_str(), &there) == 0)
      return number_after("oom_kill", file);
  return number_after("oom_kill", root + "/proc/vmstat");
}

}  // namespace plait::detail

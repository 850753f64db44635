// tests/soak/ledger.hpp: what this process holds: descriptors, threads, children and memory.
//
// Memory:   heap: bytes in use, of all arenas (mallinfo2). They know no fragmentation and no caches
//           of the allocator, so that they can be compared to a few parts in a hundred. resident:
//           Anonymous and Swap of /proc/self/smaps_rollup after malloc_trim(0): what a heap that lies
//           badly, stacks and mappings cost beside.
// Children: every process below this one. This process is made the reaper of orphans, so that a
//           worker whose supervisor is gone counts as well.
#pragma once

#include <dirent.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace soak {

inline std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  if (DIR* open = opendir(folder.c_str()); open != nullptr) {
    const std::string own = std::to_string(dirfd(open));
    while (const dirent* entry = readdir(open)) {
      if (entry->d_name[0] != '.' && entry->d_name != own) names.emplace_back(entry->d_name);
    }
    closedir(open);
  }
  return names;
}

inline std::string first_line(const std::string& path) {
  std::string line;
  std::ifstream file(path);
  std::getline(file, line);
  return line;
}

struct process {
  int pid, parent;
  std::string what;  // "S (redis-server)"
};

// Every process below this one; zombies too.
inline std::vector<process> descendants() {
  std::multimap<int, process> by_parent;
  for (const std::string& name : names_in("/proc")) {
    const int pid = std::atoi(name.c_str());
    const std::string stat = pid > 0 ? first_line("/proc/" + name + "/stat") : "";
    const auto open = stat.find('('), close = stat.rfind(')');
    if (close == std::string::npos || close + 4 > stat.size()) continue;
    const int parent = std::atoi(stat.c_str() + close + 4);
    by_parent.emplace(
        parent, process{pid, parent,
                        stat.substr(close + 2, 1) + " " + stat.substr(open, close - open + 1)});
  }
  std::vector<process> found;
  std::vector<int> parents{static_cast<int>(getpid())};
  while (!parents.empty()) {
    const auto [first, last] = by_parent.equal_range(parents.back());
    parents.pop_back();
    for (auto each = first; each != last; ++each) {
      parents.push_back(each->first == each->second.pid ? 0 : each->second.pid);
      found.push_back(each->second);
    }
  }
  return found;
}

struct ledger {
  std::vector<std::string> descriptors, threads, children;  // what they are, sorted
  std::size_t heap = 0, resident = 0;                       // bytes

  static ledger take() {
    ledger now;
    for (const std::string& name : names_in("/proc/self/fd")) {
      char target[256];
      const auto length = readlink(("/proc/self/fd/" + name).c_str(), target, sizeof target);
      if (length > 0) now.descriptors.push_back(kind({target, static_cast<std::size_t>(length)}));
    }
    for (const std::string& name : names_in("/proc/self/task"))
      now.threads.push_back(first_line("/proc/self/task/" + name + "/comm"));
    for (const process& child : descendants()) now.children.push_back(child.what);
    for (auto* list : {&now.descriptors, &now.threads, &now.children})
      std::sort(list->begin(), list->end());
    malloc_trim(0);
    now.heap = mallinfo2().uordblks + mallinfo2().hblkhd;
    std::ifstream rollup("/proc/self/smaps_rollup");
    for (std::string word; rollup >> word;) {
      std::size_t kilobytes = 0;
      if ((word == "Anonymous:" || word == "Swap:") && rollup >> kilobytes)
        now.resident += kilobytes * 1024;
    }
    return now;
  }

  bool holds_the_same(const ledger& other) const {
    return descriptors == other.descriptors && threads == other.threads &&
           children == other.children;
  }

  // "socket:[4711]" is "socket": another one is as good.
  static std::string kind(const std::string& target) { return target.substr(0, target.find(":[")); }
};

// What is in one sorted list and not in the other.
inline std::string difference(const std::vector<std::string>& before,
                              const std::vector<std::string>& after) {
  std::vector<std::string> more, less;
  std::set_difference(after.begin(), after.end(), before.begin(), before.end(),
                      std::back_inserter(more));
  std::set_difference(before.begin(), before.end(), after.begin(), after.end(),
                      std::back_inserter(less));
  std::string text;
  for (const auto& each : more) text += " +" + each;
  for (const auto& each : less) text += " -" + each;
  return text;
}

}  // namespace soak

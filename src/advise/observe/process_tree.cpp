#include "advise/observe/process_tree.hpp"

#include <errno.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace plait::detail {
namespace {

struct process_times {
  double user = 0, system = 0, children = 0;
  bool ended = true;
};

process_times times_of(int pid) {
  static const double tick = 1.0 / static_cast<double>(sysconf(_SC_CLK_TCK));
  const std::string text = read_whole("/proc/" + std::to_string(pid) + "/stat");
  const auto name_end = text.rfind(')');
  if (name_end == text.npos || name_end + 2 >= text.size()) return {};
  std::string_view rest = std::string_view(text).substr(name_end + 3);
  double fields[17];  // ppid is the first of them: field 4 of proc(5)
  for (double& field : fields) field = static_cast<double>(next_number(rest));
  const char state = text[name_end + 2];
  return {
      fields[10] * tick, fields[11] * tick, (fields[12] + fields[13]) * tick,
      (state == 'Z' || state == 'X') && fields[16] <= 1};  // a leader may end before its threads
}

// CPU seconds of all its threads, those that have ended included; 0 if it is gone.
double clock_of(int pid) {
  clockid_t clock{};
  timespec now{};
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &now) != 0) return 0;
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

std::string name_of(const std::string& folder) {
  std::string name = read_whole(folder + "/comm");
  if (!name.empty() && name.back() == '\n') name.pop_back();
  return name;
}

}  // namespace

process_tree::process_tree(int root, observation& seen, surroundings& around)
    : seen_(seen), around_(around), adopts_(seen.began == observation::beginning::started_for_it) {
  add_process(root, 0, 0);
}

tracked_process* process_tree::find(int pid) {
  const auto at = by_pid_.find(pid);
  return at == by_pid_.end() ? nullptr : at->second;
}

bool process_tree::anything_alive() const {
  return std::any_of(processes_.begin(), processes_.end(), [](const auto& p) { return p->alive; });
}

std::size_t process_tree::thread_count() const {
  std::size_t count = 0;
  for (const auto& process : processes_)
    if (process->alive) count += process->threads.size();
  return count;
}

void process_tree::add_process(int pid, int parent, double now) {
  auto process = std::make_unique<tracked_process>();
  process->pid = pid;
  process->born = now;
  process->record = seen_.processes.size();
  process->files = std::make_unique<open_files>(pid, around_);
  seen_.processes.push_back({.pid = pid,
                             .parent = parent,
                             .name = name_of("/proc/" + std::to_string(pid)),
                             .first_seen = now,
                             .last_seen = now});
  if (first_look_ && !adopts_) {
    const process_times times = times_of(pid);
    process->first_user = times.user;
    process->first_system = times.system;
    process->first_children = times.children;
    process->first_clock = clock_of(pid);
  }
  by_pid_[pid] = process.get();
  processes_.push_back(std::move(process));
  find_threads(*processes_.back(), now);
}

void process_tree::find_threads(tracked_process& process, double now) {
  const std::string folder = "/proc/" + std::to_string(process.pid) + "/task";
  const auto tids = numbers_in(folder);
  if (tids.empty()) process.alive = false;
  for (const int tid : tids) {
    const auto known = std::find_if(process.threads.begin(), process.threads.end(),
                                    [&](auto& t) { return t.tid == tid && t.alive; });
    if (known != process.threads.end()) continue;
    const std::string task = folder + "/" + std::to_string(tid);
    tracked_thread thread;
    thread.tid = tid;
    thread.born = now;
    thread.clocks = proc_file(task + "/schedstat");
    thread.call = proc_file(task + "/syscall");
    if (!thread.call.is_open() && (errno == EACCES || errno == EPERM)) refused_ = true;
    thread.children = proc_file(task + "/children");
    thread.record = seen_.threads.size();
    seen_.threads.push_back({.pid = process.pid,
                             .tid = tid,
                             .name = name_of(task),
                             .clocks = {},
                             .first_tick = static_cast<std::uint32_t>(seen_.ticks.size()),
                             .samples = {}});
    char block[96];
    std::string_view text = thread.clocks.read(block, sizeof block);
    const double run = 1e-9 * static_cast<double>(next_number(text));
    const double queue = 1e-9 * static_cast<double>(next_number(text));
    // Born while we looked: all that its clocks show is of this observation.
    const bool is_new = !first_look_ || adopts_;
    thread.first_run = is_new ? 0 : run;
    thread.first_queue = is_new ? 0 : queue;
    const double lived = is_new ? std::min(run + queue, 0.02) : 0;
    auto& clocks = seen_.threads.back().clocks;
    clocks.push_back({static_cast<float>(std::max(0.0, now - lived)), 0, 0});
    if (is_new && now > 0) clocks.push_back({static_cast<float>(now), run, queue});
    process.threads.push_back(std::move(thread));
  }
}

void process_tree::find_children(tracked_process& process, bool everything, double now) {
  // Which thread has children is known only from its list; of many threads those that wait go first.
  for (auto& thread : process.threads) {
    if (!thread.alive) continue;
    if (!everything && !thread.on_children &&
        !(process.had_children && process.threads.size() <= 8))
      continue;
    char block[4096];
    std::string_view list = thread.children.read(block, sizeof block);
    while (list.find_first_of("0123456789") != list.npos) {
      const auto pid = static_cast<int>(next_number(list));
      process.had_children = true;
      const tracked_process* known = find(pid);
      if (pid > 0 && pid != getpid() && (known == nullptr || !known->alive))
        add_process(pid, process.pid, now);
    }
  }
}

void process_tree::examine(tracked_process& process, double now) {
  struct stat facts {};
  const std::string folder = "/proc/" + std::to_string(process.pid);
  if (stat((folder + "/exe").c_str(), &facts) != 0) return;
  const double age = now - process.born;
  // A program that has just begun maps its libraries first; one that executes another begins anew.
  const bool anew = facts.st_ino != process.program;
  const bool settled =
      process.examined >= process.born + 0.25 || (now > 0 && process.examined > now - 1);
  if (!anew && settled && process.runtime.kind != runtime_kind::native) return;
  if (!anew && process.examined >= 0 && age < 0.05) return;
  if (!anew && process.examined > 0 && now < 1.6 * process.examined + 0.05 - 0.6 * process.born)
    return;
  process.program = facts.st_ino;
  process.examined = now;
  process.runtime = runtimes_.find(process.pid);
  seen_.processes[process.record].runtime = process.runtime.kind;
  if (!anew) return;
  const std::string name = name_of(folder);
  seen_.processes[process.record].name = name;
  for (const auto& thread : process.threads)
    if (thread.tid == process.pid) seen_.threads[thread.record].name = name;
}

void process_tree::refresh(double now, bool everything) {
  for (std::size_t i = 0; i < processes_.size(); ++i) {  // it grows meanwhile
    tracked_process& process = *processes_[i];
    if (!process.alive) continue;
    struct stat facts {};
    const std::string folder = "/proc/" + std::to_string(process.pid) + "/task";
    if (stat(folder.c_str(), &facts) != 0) {
      process.alive = false;
      for (auto& thread : process.threads) thread = {.record = thread.record, .alive = false};
      continue;
    }
    if (!process.threads.empty() && std::none_of(process.threads.begin(), process.threads.end(),
                                                 [](const auto& thread) { return thread.alive; })) {
      read_process_times(process, now);
      if (!process.alive) continue;
    }
    if (facts.st_nlink != process.links || everything) {
      process.links = facts.st_nlink;
      std::erase_if(process.threads, [](const auto& thread) { return !thread.alive; });
      find_threads(process, now);
    }
    find_children(process, everything || now - process.born < 0.1, now);
    if (everything || now - process.born < 0.5) examine(process, now);
    if (everything) read_process_times(process, now);
  }
  if (adopts_ && everything) {  // orphans of the program are ours
    for (const int tid : numbers_in("/proc/self/task")) {
      const std::string list = read_whole("/proc/self/task/" + std::to_string(tid) + "/children");
      std::string_view rest = list;
      while (rest.find_first_of("0123456789") != rest.npos) {
        const auto pid = static_cast<int>(next_number(rest));
        if (find(pid) == nullptr) add_process(pid, seen_.root, now);
      }
    }
  }
  first_look_ = false;
}

void process_tree::read_process_times(tracked_process& process, double now) {
  const process_times times = times_of(process.pid);
  if (times.user + times.system + 1e-9 <
      process.cpu) {  // it is gone, and its number perhaps another's
    process.alive = false;
    return;
  }
  auto& record = seen_.processes[process.record];
  if (times.ended) {
    process.alive = false;
  } else {
    record.last_seen = now;
  }
  process.cpu = times.user + times.system;
  process.clock = std::max(process.clock, clock_of(process.pid));
  process.children_cpu = times.children - process.first_children;
  record.user_seconds = times.user - process.first_user;
  record.system_seconds = times.system - process.first_system;
}

void process_tree::read_clock(tracked_thread& thread, double now) {
  char block[96];
  std::string_view text = thread.clocks.read(block, sizeof block);
  if (text.empty()) {
    thread.alive = false;
    return;
  }
  thread.run = 1e-9 * static_cast<double>(next_number(text)) - thread.first_run;
  thread.queue = 1e-9 * static_cast<double>(next_number(text)) - thread.first_queue;
  auto& clocks = seen_.threads[thread.record].clocks;
  // Between two that are further apart this one says nothing new.
  if (clocks.size() >= 2 && now - clocks[clocks.size() - 2].at < 0.2) clocks.pop_back();
  clocks.push_back({static_cast<float>(now), thread.run, thread.queue});
  // More run than time passed: it was not seen from the beginning.
  clocks.front().at = std::max(
      0.0f, std::min(clocks.front().at, static_cast<float>(now - thread.run - thread.queue)));
}

bool process_tree::has_run(tracked_thread& thread) {
  char block[96];
  std::string_view text = thread.clocks.read(block, sizeof block);
  const auto run = static_cast<double>(next_number(text));
  return text.empty() || std::exchange(thread.seen_run, run) != run;
}

void process_tree::read_clocks(double now) {
  for (auto& process : processes_)
    if (process->alive)
      for (auto& thread : process->threads)
        if (thread.alive) read_clock(thread, now);
}

void process_tree::read_switches() {
  std::size_t left = 64;
  for (auto& process : processes_) {
    if (!process->alive) continue;
    for (auto& thread : process->threads) {
      if (!thread.alive || left == 0) continue;
      --left;
      char path[64];
      std::snprintf(path, sizeof path, "/proc/%d/task/%d/status", process->pid, thread.tid);
      const std::string text = read_whole(path);
      const auto at = text.find("\nvoluntary_ctxt_switches:");
      if (at == text.npos) continue;
      std::string_view rest = std::string_view(text).substr(at + 25);
      const auto count = static_cast<double>(next_number(rest));
      if (thread.switches < 0)
        thread.switches = count;
      else
        seen_.threads[thread.record].switches = count - thread.switches;
    }
  }
}

}  // namespace plait::detail

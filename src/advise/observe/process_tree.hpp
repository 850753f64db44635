// src/advise/observe/process_tree.hpp: the processes and threads under observation, from birth to end.
//
// Threads are found by the process's own count of them, which is one stat() a look; children by the
// lists that their parents' threads have. What was found once is kept, also when its parent ends.
//
// Threads:  one at a time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "advise/observe/loaded_runtime.hpp"
#include "advise/observe/open_files.hpp"
#include "advise/observe/proc_file.hpp"
#include "plait/advise/observation.hpp"

namespace plait::detail {

struct tracked_thread {
  std::size_t record = 0;  // in observation::threads
  int tid = 0;
  proc_file clocks = {}, call = {}, children = {};
  double born = 0;
  double seen_run = 0;                    // when it was last found parked
  double run = 0, queue = 0;              // as last read, since birth or the first look
  double first_run = 0, first_queue = 0;  // what it had at the first look
  double switches = -1;
  activity last = activity::absent;
  unsigned alike = 0;  // how often it was found parked one after another
  bool on_children = false, alive = true;
};

struct tracked_process {
  std::size_t record = 0;  // in observation::processes
  int pid = 0;
  double born = 0;
  std::uint64_t links = 0;    // of its task folder: two more than threads
  std::uint64_t program = 0;  // inode of what it executes
  double examined = -1;       // when its runtime was looked for
  loaded_runtime runtime;
  std::unique_ptr<open_files> files;
  std::vector<tracked_thread> threads;
  double first_user = 0, first_system = 0, first_children = 0, children_cpu = 0;
  double cpu = 0;                     // user and system, in all
  double first_clock = 0, clock = 0;  // the same exactly, threads that have ended included
  bool alive = true, had_children = false;
};

class process_tree {
 public:
  process_tree(int root, observation& seen, surroundings& around);

  // Finds what was born since; `everything` also where nothing hints at it.
  void refresh(double now, bool everything);
  // Reads all clocks that can still be read.
  void read_clocks(double now);
  void read_clock(tracked_thread& thread, double now);
  // Whether it has run since its clocks were last read; reads them then.
  bool has_run(tracked_thread& thread);
  void read_process_times(tracked_process& process, double now);
  void read_switches();

  std::vector<std::unique_ptr<tracked_process>>& processes() noexcept { return processes_; }
  tracked_process* find(int pid);
  bool anything_alive() const;
  std::size_t thread_count() const;
  // Whether the kernel hides what threads wait for.
  bool was_refused() const noexcept { return refused_; }

 private:
  void add_process(int pid, int parent, double now);
  void find_threads(tracked_process& process, double now);
  void find_children(tracked_process& process, bool everything, double now);
  void examine(tracked_process& process, double now);

  observation& seen_;
  surroundings& around_;
  runtime_finder runtimes_;
  std::vector<std::unique_ptr<tracked_process>> processes_;
  std::map<int, tracked_process*> by_pid_;
  bool refused_ = false, first_look_ = true;
  bool adopts_;
};

}  // namespace plait::detail

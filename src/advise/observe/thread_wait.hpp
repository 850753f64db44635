// src/advise/observe/thread_wait.hpp: from /proc/PID/task/TID/syscall to what the thread waits for.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "advise/observe/loaded_runtime.hpp"
#include "advise/observe/open_files.hpp"
#include "plait/advise/observation.hpp"

namespace plait::detail {

struct thread_wait {
  activity what = activity::absent;
  std::string name = {};      // what for, if somebody might want to know
  std::size_t in_flight = 0;  // of an event loop: requests without an answer
  bool on_children = false;   // it waits for children: these are worth a look
  bool event_loop = false;
};

struct watched_process {
  int pid;
  loaded_runtime runtime;
  open_files& files;
  double now;
};

// `line` as the kernel writes it: "running", or a number and six arguments, or -1.
thread_wait wait_of(std::string_view line, int tid, const watched_process& process);

}  // namespace plait::detail

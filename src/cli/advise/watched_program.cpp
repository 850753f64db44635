#include "cli/advise/watched_program.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "cli/exit_status.hpp"

namespace plait::cli {
namespace {

// All processes below this one: children, and what they started.
std::vector<pid_t> descendants() {
  std::vector<pid_t> found;
  const auto add_children_of = [&](pid_t pid) {
    std::ifstream list(fmt::format("/proc/{0}/task/{0}/children", pid));
    for (pid_t child; list >> child;) found.push_back(child);
  };
  add_children_of(getpid());
  for (std::size_t i = 0; i < found.size(); ++i) {
    add_children_of(found[i]);
    // Children of its other threads come to us when it ends, and are found then.
  }
  return found;
}

void reap_all(pid_t keep) {
  for (siginfo_t info{};
       waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0; info = {}) {
    if (info.si_pid == keep) return;
    waitpid(info.si_pid, nullptr, WNOHANG);
  }
}

}  // namespace

watched_program::watched_program(const std::vector<std::string>& command) {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, defaults;
  sigemptyset(&none);
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::vector<char*> arguments;
  for (const auto& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const int error =
      posix_spawnp(&pid_, arguments[0], &actions, &attributes, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) {
    pid_ = -1;
    throw complaint(exit_status::usage,
                    fmt::format("cannot start {}: {}", command.front(), std::strerror(error)));
  }
}

watched_program::~watched_program() { end(); }

std::optional<int> watched_program::status() {
  if (pid_ > 0 && !status_) {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) status_ = status;
  }
  return status_;
}

void watched_program::end() {
  if (pid_ < 0) return;
  status();
  constexpr timespec pause{0, 10'000'000};
  for (int round = 0; round < 500; ++round) {
    const auto alive = descendants();
    if (alive.empty()) break;
    for (const pid_t pid : alive) {
      // Once to each politely; what it starts meanwhile, and what goes on, is killed.
      if (round == 0) {
        kill(pid, SIGTERM);
        kill(pid, SIGCONT);
      } else if (round >= 200) {
        kill(pid, SIGKILL);
      }
    }
    nanosleep(&pause, nullptr);
    status();
    reap_all(status_ ? -1 : pid_);
  }
  pid_ = -1;
}

}  // namespace plait::cli

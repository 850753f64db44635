// src/cli/advise/watched_program.hpp: a program that is started in order to be observed, and its end.
//
// It stands in this program's process group, so that Ctrl-C reaches it as it would without us, reads
// our standard input and writes to our standard error: standard output is for the report. Whatever it
// starts is ours too, also what its own parent has left behind (PR_SET_CHILD_SUBREAPER).
//
// Threads:  the main thread only.
// Stops:    the destructor ends the program and all that it started, unless it was let go.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace plait::cli {

class watched_program {
 public:
  // Throws complaint if it cannot be started.
  explicit watched_program(const std::vector<std::string>& command);
  watched_program(const watched_program&) = delete;
  watched_program& operator=(const watched_program&) = delete;
  ~watched_program();

  pid_t pid() const noexcept { return pid_; }
  // As waitpid gives it, once it has ended by itself.
  std::optional<int> status();
  // SIGTERM to all, and SIGKILL to those that are still there after two seconds.
  void end();
  // Nothing happens to it any more.
  void let_go() noexcept { pid_ = -1; }

 private:
  pid_t pid_ = -1;
  std::optional<int> status_;
};

}  // namespace plait::cli

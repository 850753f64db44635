// src/cli/child_process.hpp: a program that this one started, what it says, and its certain end.
//
// The child leads a process group of its own, so that Ctrl-C reaches this program alone and whatever
// the child starts ends with it. Its standard input is /dev/null.
//
// Threads:  the main thread only. The child is asked to die with its parent by what it runs
//           (see die_with_parent), and Linux means the parent's thread by that.
// Stops:    the destructor kills the group and waits for the child.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace plait::cli {

class child_process {
 public:
  // argv[0] is the program's path. Throws std::system_error when it cannot be started.
  explicit child_process(const std::vector<std::string>& argv);
  child_process(child_process&& other) noexcept;
  child_process& operator=(child_process&&) = delete;
  ~child_process();

  pid_t pid() const noexcept { return pid_; }
  // Readable when the child has written; non-blocking; -1 after the end of that stream.
  int out_fd() const noexcept { return out_; }
  int err_fd() const noexcept { return err_; }
  // Readable when the child has ended.
  int exit_fd() const noexcept { return exit_; }
  const std::string& out() const noexcept { return said_out_; }
  const std::string& err() const noexcept { return said_err_; }
  // Takes in what is there to read. Keeps the end of a very long standard error.
  void read_available();
  // True once the child has ended and everything it wrote has been read; then status() is there.
  bool ended();
  // As waitpid gives it.
  std::optional<int> status() const noexcept { return status_; }

  void send(int signal) const noexcept;
  // Kills the whole group at once and waits for the child.
  void kill() noexcept;

 private:
  void reap(int flags) noexcept;
  pid_t pid_ = -1;
  int out_ = -1, err_ = -1, exit_ = -1;
  std::string said_out_, said_err_;
  std::optional<int> status_;
};

// In a child that runs this program: end as soon as the process `parent`, which started it, has.
void die_with_parent(pid_t parent);
// The path of this program.
std::string own_path();
// "ended with status 3", "was killed by SIGSEGV".
std::string describe_status(int status);

}  // namespace plait::cli

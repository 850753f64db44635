// plait/net/subprocess.hpp: another program, started by this one.
//
//   auto sort = subprocess::start(command("sort").in(redirect::pipe()).out(redirect::pipe()));
//   auto sorted = co_await sort.communicate("b\na\n");
//   std::cout << sorted.out;
//
// To run a program to its end and have what it wrote: run_command.hpp.
//
// Threads:  may be started without a loop; it belongs to the loop of its first wait or pipe
//           operation, and must be gone before that loop. One task at a time may wait.
// Blocks:   start, until the child runs its program or has failed to: about 0.1 ms, and some
//           milliseconds where every CPU is busy.
//           The destructor of a running subprocess: see there.
// Stops:    a stopped wait or communicate leaves the child running, and it can be waited for again.
// Throws:   start: spawn_error, descriptors_exhausted. wait: exit_status_lost.
// Cost:     posix_spawn, whose time does not grow with this program's memory; one descriptor for the
//           child (a pidfd, or before Linux 5.3 a pipe and a thread) and one a pipe. No SIGCHLD handler.
// Example:  examples/coroutines/commands.cpp
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "plait/coroutines/task.hpp"
#include "plait/net/command.hpp"
#include "plait/net/errors.hpp"
#include "plait/net/exit_status.hpp"
#include "plait/net/pipe.hpp"

namespace plait::net {

// The program could not be started: it is missing, may not be run, its folder does not exist ...
class spawn_error : public coded_error {
 public:
  using coded_error::coded_error;
};

// The child ended, and somebody else took its status: SIGCHLD is ignored, or other code of this
// program called wait() or waitpid(-1).
class exit_status_lost : public error {
 public:
  using error::error;
};

// A program wrote more than it was allowed to.
class output_limit_exceeded : public error {
 public:
  using error::error;
};

struct communicate_options {
  // The most bytes that out and err may have, each.
  std::size_t output_limit = 64 * 1024 * 1024;
};

// A program that has ended, and what it wrote to the streams that were pipes.
struct completed {
  exit_status status;
  std::string out, err;
};

namespace detail {
struct child_process;
struct child_process_closer {
  void operator()(child_process* child) const noexcept;
};
}  // namespace detail

class subprocess {
 public:
  static subprocess start(const command& what);

  subprocess(subprocess&&) noexcept = default;
  subprocess& operator=(subprocess&&) noexcept = default;
  // A child that still runs is killed (SIGKILL, with its group if it has one of its own) and waited
  // for, which takes the kernel about a millisecond; nothing outlives its owner, and no zombie stays.
  ~subprocess() = default;

  int pid() const noexcept;
  // How it ended, or nothing while it runs.
  std::optional<exit_status> status();
  task<exit_status> wait();

  // Our ends of the streams that are redirected to pipes; closed ones for the others. The child sees
  // the end of its input when in() is closed. Move them out to hand them to another task.
  pipe_writer& in() noexcept;
  pipe_reader& out() noexcept;
  pipe_reader& err() noexcept;

  // Writes `input` to the child and closes its input, reads what it writes, all at once, so that
  // neither waits for a full pipe; then waits for its end. A child that does not read all of its
  // input is no error. Throws output_limit_exceeded, and leaves the child running then.
  task<completed> communicate(std::string input = {}, communicate_options options = {});

  // To the child, or to its group if it has one of its own. Nothing happens if it has ended.
  void send_signal(int signal);
  void terminate();  // SIGTERM: asks it to end
  void kill();       // SIGKILL: ends it

 private:
  explicit subprocess(detail::child_process* child) noexcept : child_(child) {}
  std::unique_ptr<detail::child_process, detail::child_process_closer> child_;
};

}  // namespace plait::net

#include "cli/child_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace plait::cli {
namespace {

constexpr std::size_t longest_stderr = 64 * 1024;

[[noreturn]] void fail(int error, const std::string& what) {
  throw std::system_error(error, std::generic_category(), what);
}

struct pipe_ends {
  int read = -1, write = -1;
  pipe_ends() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) fail(errno, "pipe");
    read = ends[0];
    write = ends[1];
    fcntl(read, F_SETFL, O_NONBLOCK);
  }
  ~pipe_ends() {
    if (read >= 0) close(read);
    if (write >= 0) close(write);
  }
};

// What posix_spawn shall do between fork and exec.
struct spawn_plan {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  spawn_plan(int out, int err) {
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawn_file_actions_adddup2(&actions, err, 2);
    posix_spawnattr_init(&attributes);
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  spawn_plan(const spawn_plan&) = delete;
  spawn_plan& operator=(const spawn_plan&) = delete;
  ~spawn_plan() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
};

// Reads until it would block; closes at the end.
void drain(int& fd, std::string& into) {
  char block[16384];
  while (fd >= 0) {
    const ssize_t n = read(fd, block, sizeof block);
    if (n > 0) {
      into.append(block, static_cast<std::size_t>(n));
    } else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
      close(std::exchange(fd, -1));
    } else if (errno == EAGAIN) {
      return;
    }
  }
}

}  // namespace

child_process::child_process(const std::vector<std::string>& argv) {
  pipe_ends out, err;
  const spawn_plan plan(out.write, err.write);
  std::vector<char*> arguments;
  for (const auto& a : argv) arguments.push_back(const_cast<char*>(a.c_str()));
  arguments.push_back(nullptr);
  const int error = posix_spawn(&pid_, argv.front().c_str(), &plan.actions, &plan.attributes,
                                arguments.data(), environ);
  if (error != 0) fail(error, argv.front());
  out_ = std::exchange(out.read, -1);
  err_ = std::exchange(err.read, -1);
  exit_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));  // close-on-exec by itself
  if (exit_ < 0) {
    const int why = errno;
    kill();
    fail(why, "pidfd_open");
  }
}

child_process::child_process(child_process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      out_(std::exchange(other.out_, -1)),
      err_(std::exchange(other.err_, -1)),
      exit_(std::exchange(other.exit_, -1)),
      said_out_(std::move(other.said_out_)),
      said_err_(std::move(other.said_err_)),
      status_(other.status_) {}

child_process::~child_process() {
  kill();
  for (const int fd : {out_, err_, exit_})
    if (fd >= 0) close(fd);
}

void child_process::read_available() {
  drain(out_, said_out_);
  drain(err_, said_err_);
  if (said_err_.size() > 2 * longest_stderr) said_err_.erase(0, said_err_.size() - longest_stderr);
}

bool child_process::ended() {
  if (!status_) reap(WNOHANG);
  if (!status_) return false;
  // What it started may hold the pipes open; its own words are all there by now.
  read_available();
  return true;
}

void child_process::send(int signal) const noexcept {
  if (pid_ > 0 && !status_) ::kill(pid_, signal);
}

void child_process::kill() noexcept {
  if (pid_ <= 0) return;
  if (!status_) {
    ::kill(-pid_, SIGKILL);  // the group is ours as long as its leader has not been waited for
    reap(0);
  }
}

void child_process::reap(int flags) noexcept {
  // While the child is a zombie its group's number cannot be given to anybody else: end what it
  // left behind first, then take its status.
  siginfo_t info{};
  const int wait_flags = WEXITED | WNOWAIT | (flags & WNOHANG);
  while (waitid(P_PID, static_cast<id_t>(pid_), &info, wait_flags) != 0 && errno == EINTR) {
  }
  if (info.si_pid == 0) return;
  ::kill(-pid_, SIGKILL);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  status_ = status;
}

void die_with_parent(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);  // it has gone already
}

std::string own_path() {
  char path[4096];
  const ssize_t n = readlink("/proc/self/exe", path, sizeof path);
  if (n <= 0) fail(errno, "/proc/self/exe");
  return std::string(path, static_cast<std::size_t>(n));
}

std::string describe_status(int status) {
  if (WIFSIGNALED(status)) {
    const char* name = sigabbrev_np(WTERMSIG(status));
    return "was killed by " + (name != nullptr ? "SIG" + std::string(name)
                                               : "signal " + std::to_string(WTERMSIG(status)));
  }
  return "ended with status " + std::to_string(WEXITSTATUS(status));
}

}  // namespace plait::cli

#include "processes/launch.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>

#include "processes/zygote.hpp"

extern "C" [[gnu::weak]] void __tsan_init();

namespace plait::detail {
namespace {

// Those by which a program looks at its own faults keep their handlers.
constexpr int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};

// Handlers of a forked program would run in the wrong process.
void forget_signals() noexcept {
  for (int s = 1; s < NSIG; ++s)
    if (std::find(std::begin(faults), std::end(faults), s) == std::end(faults)) signal(s, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Closes what a forked program had open. The numbers stay taken: what still has one in its memory
// gets EBADF from it, and never a file that was opened later.
void blank_descriptors(int except) {
  const descriptor blank(open("/", O_PATH | O_CLOEXEC)), empty(open("/dev/null", O_RDONLY));
  if (!blank || !empty) throw_errno("cannot open / or /dev/null");
  dup2(empty.get(), STDIN_FILENO);
  DIR* all = opendir("/proc/self/fd");
  if (all == nullptr) throw_errno("/proc/self/fd");
  while (const dirent* entry = readdir(all)) {
    const int fd = std::atoi(entry->d_name);
    if (fd > STDERR_FILENO && fd != except && fd != dirfd(all) && fd != blank.get() &&
        fd != empty.get())
      dup3(blank.get(), fd, O_CLOEXEC);
  }
  closedir(all);
}

}  // namespace

launch_environment::launch_environment(role as, std::uint64_t nonce) {
  char setting[80];
  std::snprintf(setting, sizeof setting, "%s=%c:%d:%d:%" PRIx64, zygote_variable,
                static_cast<char>(as), launch_socket, getpid(), nonce);
  setting_ = setting;
  for (char** e = environ; *e != nullptr; ++e) pointers_.push_back(*e);
  pointers_.push_back(setting_.data());
  pointers_.push_back(nullptr);
}

pid_t spawn_zygote(const descriptor& socket, std::uint64_t nonce) {
  launch_environment environment(launch_environment::role::zygote, nonce);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, socket.get(), launch_socket);
  posix_spawn_file_actions_addclosefrom_np(&files, launch_socket + 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t all, none;
  sigfillset(&all);
  sigemptyset(&none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  char* arguments[] = {program_invocation_name, nullptr};
  pid_t pid = -1;
  const int error =
      posix_spawn(&pid, "/proc/self/exe", &files, &attributes, arguments, environment.get());
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) {
    errno = error;
    throw_errno("cannot start this program again as the workers' supervisor");
  }
  return pid;
}

pid_t fork_zygote(const descriptor& socket, std::uint64_t nonce) {
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) throw_errno("cannot fork the workers' supervisor");
  if (pid != 0) return pid;
  try {
    forget_signals();
    blank_descriptors(socket.get());
  } catch (const std::exception& e) {
    dprintf(STDERR_FILENO, "plait: the workers' supervisor cannot start: %s\n", e.what());
    _exit(1);
  }
  run_zygote(socket.get(), parent, nonce, zygote_origin::fork);
}

start_method chosen_start(start_method asked) {
  const char* instead = std::getenv(start_variable);
  if (asked != start_method::forkserver || instead == nullptr) return asked;
  if (std::strcmp(instead, "spawn") == 0) return start_method::spawn;
  if (std::strcmp(instead, "fork") == 0) return start_method::fork;
  return asked;
}

const char* objection_to_fork() noexcept {
  if (__tsan_init == nullptr) return nullptr;
  return "start_method::fork: ThreadSanitizer does not follow a program with threads into a fork";
}

void exec_worker(int socket, launch_environment& environment) noexcept {
  if (socket == launch_socket) {
    fcntl(socket, F_SETFD, 0);
  } else {
    dup2(socket, launch_socket);
  }
  syscall(SYS_close_range, launch_socket + 1, ~0U, 0);  // without it: they close on exec, but for
                                                        // what static initialisers opened
  char* arguments[] = {program_invocation_name, nullptr};
  execve("/proc/self/exe", arguments, environment.get());
  dprintf(STDERR_FILENO, "plait: cannot start this program again as a worker: %s\n",
          strerrordesc_np(errno));
  _exit(127);
}

}  // namespace plait::detail

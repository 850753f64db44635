#include "plait/processes/sandbox.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <system_error>

#include "plait/processes/errors.hpp"
#include "processes/descriptor.hpp"
#include "processes/sandbox_walls.hpp"

namespace plait::detail {
namespace {

void make_absolute(std::vector<std::string>& paths) {
  for (auto& path : paths) {
    const descriptor file(open(path.c_str(), O_PATH | O_CLOEXEC));
    if (!file)
      throw std::system_error(errno, std::generic_category(),
                              "process pool: the sandbox lists \"" + path + "\"");
    path = std::filesystem::absolute(path).string();
  }
}

// Landlock binds the calling thread and those that it starts: another would stay outside.
void refuse_threads() {
#if defined(__SANITIZE_THREAD__)
  return;  // its run-time library has a thread of its own, which runs nobody's calls
#endif
  const std::unique_ptr<DIR, int (*)(DIR*)> tasks(opendir("/proc/self/task"), closedir);
  if (tasks == nullptr) throw_errno("cannot count the threads of a worker in /proc/self/task");
  int threads = 0;
  while (const dirent* entry = readdir(tasks.get())) threads += entry->d_name[0] != '.';
  if (threads != 1)
    throw std::runtime_error("the sandbox cannot be closed around " + std::to_string(threads) +
                             " threads: neither static initialisation nor the initializer may "
                             "leave any behind");
}

void drop_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  if (syscall(SYS_capset, &header, none) != 0) throw_errno("capset");
}

}  // namespace

sandbox checked(sandbox wanted) {
  if (wanted.if_unsupported == sandbox::fallback::none) {
    for (const char* lack : {filter_missing(), landlock_missing()})
      if (lack != nullptr)
        throw sandbox_unavailable(
            std::string("process pool: this kernel cannot close the sandbox: ") + lack);
  }
  make_absolute(wanted.readable);
  make_absolute(wanted.writable);
  return wanted;
}

void enter_sandbox(const sandbox& walls, int doorbell) {
  refuse_threads();
  std::fflush(stdout);
  // The program's standard output may be a terminal, a connection or a file that others trust.
  if (dup2(STDERR_FILENO, STDOUT_FILENO) < 0) throw_errno("dup2");
  // No core dump: a program that handles it would read what a hostile process looks like.
  if (prctl(PR_SET_DUMPABLE, 0) != 0) throw_errno("PR_SET_DUMPABLE");
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) throw_errno("PR_SET_NO_NEW_PRIVS");
  drop_capabilities();
  const bool must = walls.if_unsupported == sandbox::fallback::none;
  if (must || landlock_missing() == nullptr) restrict_files(walls);
  if (must || filter_missing() == nullptr) restrict_system_calls(walls, doorbell);
}

}  // namespace plait::detail

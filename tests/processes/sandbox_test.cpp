// What a sandboxed worker is refused, each act attempted from within, and what it can do all the same.
#if defined(__SANITIZE_ADDRESS__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // of GCC 12, within <regex>
#endif
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/futex.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <numeric>
#include <random>
#include <regex>
#include <span>
#include <system_error>
#include <thread>

#include "../support/refuse_system_call.hpp"
#include "plait/processes.hpp"
#include "plait/testing/temporary_folder.hpp"

using namespace std::chrono_literals;
using plait::process_pool_executor;
using plait::sandbox;

namespace {

constexpr int nothing_wrong = 0;
// What an attempt came to: the error, or 0.
int outcome(long result) { return result == -1 ? errno : nothing_wrong; }
int outcome_of_descriptor(long fd) {
  if (fd != -1) close(static_cast<int>(fd));
  return outcome(fd);
}
bool refused(int error) { return error == EPERM || error == EACCES; }

// Of other processes: what a hostile call could find out or guess.
struct victims {
  int program, zygote, sibling;
};

// One thing that code which has taken over a worker might try.
struct attempt {
  const char* what;
  int (*act)(victims);
};

std::string tried(const std::vector<attempt>& attempts,
                  const plait::process_pool_options& options) {
  process_pool_executor pool(options);
  process_pool_executor another(plait::process_pool_options{.max_workers = 1});
  const auto parent = [] { return static_cast<int>(getppid()); };
  const victims them{getpid(), pool.submit(parent).get(),
                     another.submit([] { return static_cast<int>(getpid()); }).get()};
  std::string allowed;
  for (const auto& a : attempts) {
    const int error = pool.submit(a.act, them).get();
    if (!refused(error)) allowed += std::string(a.what) + ": " + strerror(error) + "\n";
  }
  EXPECT_EQ(another.submit([] { return 5; }).get(), 5) << "the sibling is alive";
  return allowed;
}
std::string allowed(const std::vector<attempt>& attempts) {
  return tried(attempts, {.max_workers = 1, .sandbox = sandbox{}});
}
// Where names of files mean something, so that Landlock decides.
std::string allowed_with_files(const std::vector<attempt>& attempts) {
  return tried(attempts, {.max_workers = 1, .sandbox = sandbox{.readable = {"/"}}});
}

std::string proc(int pid, const char* file) { return "/proc/" + std::to_string(pid) + "/" + file; }
template <int Flags>
int open_it(const std::string& path) {
  return outcome_of_descriptor(open(path.c_str(), Flags | O_CLOEXEC, 0600));
}

TEST(Sandbox, NothingCanBeOpenedThatIsNotListed) {
  const std::vector<attempt> files = {
      {"read a file", [](victims) { return open_it<O_RDONLY>("/etc/passwd"); }},
      {"read itself", [](victims) { return open_it<O_RDONLY>("/proc/self/exe"); }},
      {"its own memory", [](victims) { return open_it<O_RDWR>("/proc/self/mem"); }},
      {"the zygote's memory", [](victims v) { return open_it<O_RDONLY>(proc(v.zygote, "mem")); }},
      {"the program's memory", [](victims v) { return open_it<O_RDWR>(proc(v.program, "mem")); }},
      {"its environment", [](victims v) { return open_it<O_RDONLY>(proc(v.program, "environ")); }},
      {"its own pipe", [](victims) { return open_it<O_RDONLY>("/proc/self/fd/2"); }},
      {"a folder", [](victims) { return open_it<O_RDONLY | O_DIRECTORY>("/"); }},
      {"a path", [](victims) { return open_it<O_PATH>("/etc"); }},
      {"a terminal", [](victims) { return open_it<O_RDWR>("/dev/tty"); }},
      {"a null", [](victims) { return open_it<O_WRONLY>("/dev/null"); }},
      {"make a file", [](victims) { return open_it<O_WRONLY | O_CREAT>("/tmp/plait_escape"); }},
      {"a nameless file", [](victims) { return open_it<O_RDWR | O_TMPFILE>("/tmp"); }},
      {"stat",
       [](victims) {
         struct stat s;
         return outcome(stat("/etc/passwd", &s));
       }},
      {"access", [](victims) { return outcome(access("/etc/passwd", F_OK)); }},
      {"readlink",
       [](victims) {
         char text[64];
         return outcome(readlink("/proc/self/exe", text, sizeof text));
       }},
      {"mkdir", [](victims) { return outcome(mkdir("/tmp/plait_escape", 0700)); }},
      {"unlink", [](victims) { return outcome(unlink("/tmp/plait_escape")); }},
      {"rename", [](victims) { return outcome(rename("/tmp/plait_a", "/tmp/plait_b")); }},
      {"link", [](victims) { return outcome(link("/etc/passwd", "/tmp/plait_escape")); }},
      {"symlink", [](victims) { return outcome(symlink("/", "/tmp/plait_escape")); }},
      {"mknod", [](victims) { return outcome(mknod("/tmp/plait_escape", S_IFIFO | 0600, 0)); }},
      {"chmod", [](victims) { return outcome(chmod("/tmp", 0777)); }},
      {"chown", [](victims) { return outcome(chown("/tmp", 0, 0)); }},
      {"truncate", [](victims) { return outcome(truncate("/tmp/plait_escape", 0)); }},
      {"chdir", [](victims) { return outcome(chdir("/")); }},
      {"openat2", [](victims) {
         const std::uint64_t how[3] = {};
         const long fd = syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", how, sizeof how);
         return fd == -1 ? EPERM : nothing_wrong;
       }}};
  EXPECT_EQ(allowed(files), "");
  EXPECT_FALSE(std::filesystem::exists("/tmp/plait_escape"));
}

// The file system to look at: other processes are still closed, and nothing can be changed.
TEST(Sandbox, AReadableFileSystemShowsNoOtherProcessAndCannotBeChanged) {
  EXPECT_EQ(
      allowed_with_files({
          {"the zygote's memory",
           [](victims v) { return open_it<O_RDONLY>(proc(v.zygote, "mem")); }},
          {"the program's memory",
           [](victims v) { return open_it<O_RDWR>(proc(v.program, "mem")); }},
          {"the sibling's memory",
           [](victims v) { return open_it<O_RDWR>(proc(v.sibling, "mem")); }},
          {"environment", [](victims v) { return open_it<O_RDONLY>(proc(v.program, "environ")); }},
          {"descriptors", [](victims v) { return open_it<O_RDONLY>(proc(v.program, "fd/2")); }},
          {"its own memory, to write", [](victims) { return open_it<O_RDWR>("/proc/self/mem"); }},
          {"write", [](victims) { return open_it<O_WRONLY>("/etc/passwd"); }},
          {"cut", [](victims) { return open_it<O_RDONLY | O_TRUNC>("/etc/passwd"); }},
          {"neither", [](victims) { return open_it<3>("/etc/passwd"); }},
          {"neither, and cut", [](victims) { return open_it<3 | O_TRUNC>("/etc/passwd"); }},
          {"make", [](victims) { return open_it<O_WRONLY | O_CREAT>("/tmp/plait_escape"); }},
          {"lock",
           [](victims) {
             const int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
             const int error = outcome(syscall(SYS_flock, fd, 6));
             close(fd);
             return error;
           }},
          {"mkdir", [](victims) { return outcome(mkdir("/tmp/plait_escape", 0700)); }},
          {"unlink", [](victims) { return outcome(unlink("/etc/passwd")); }},
          {"chmod", [](victims) { return outcome(chmod("/etc/passwd", 0666)); }},
          {"utime", [](victims) { return outcome(utimensat(AT_FDCWD, "/tmp", nullptr, 0)); }},
      }),
      "");
  process_pool_executor pool({.max_workers = 1, .sandbox = sandbox{.readable = {"/"}}});
  EXPECT_EQ(pool.submit([] { return open_it<O_RDONLY>("/etc/passwd"); }).get(), nothing_wrong);
}

template <int Family, int Type>
int socket_of(victims) {
  return outcome_of_descriptor(socket(Family, Type, 0));
}
const std::vector<attempt> unusual_sockets = {
    {"unix stream", socket_of<AF_UNIX, SOCK_STREAM>},
    {"unix datagram", socket_of<AF_UNIX, SOCK_DGRAM>},
    {"unix packets", socket_of<AF_UNIX, SOCK_SEQPACKET>},
    {"netlink", socket_of<AF_NETLINK, SOCK_RAW>},
    {"packet", socket_of<AF_PACKET, SOCK_RAW>},
    {"raw", socket_of<AF_INET, SOCK_RAW>},
    {"vsock", socket_of<AF_VSOCK, SOCK_STREAM>},
    {"alg", socket_of<AF_ALG, SOCK_SEQPACKET>},
    {"bluetooth", socket_of<AF_BLUETOOTH, SOCK_RAW>},
    {"can", socket_of<AF_CAN, SOCK_RAW>},
    {"socketpair", [](victims) {
       int fds[2];
       return outcome(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
     }}};

int inherited_socket() {  // that large messages come through
  for (int fd = 3; fd < 64; ++fd) {
    struct stat s;
    if (fstat(fd, &s) == 0 && S_ISSOCK(s.st_mode)) return fd;
  }
  return -1;
}

TEST(Sandbox, ThereIsNoNetwork) {
  EXPECT_EQ(allowed(unusual_sockets), "");
  EXPECT_EQ(
      allowed({{"tcp", socket_of<AF_INET, SOCK_STREAM>},
               {"udp", socket_of<AF_INET, SOCK_DGRAM>},
               {"tcp 6", socket_of<AF_INET6, SOCK_STREAM>},
               {"udp 6", socket_of<AF_INET6, SOCK_DGRAM>},
               {"connect the socket that is there",
                [](victims) {
                  sockaddr_un to{AF_UNIX, "/run/dbus/system_bus_socket"};
                  return outcome(
                      connect(inherited_socket(), reinterpret_cast<sockaddr*>(&to), sizeof to));
                }},
               {"bind it",
                [](victims) {
                  const sockaddr_un to{AF_UNIX, ""};
                  return outcome(
                      bind(inherited_socket(), reinterpret_cast<const sockaddr*>(&to), sizeof to));
                }},
               {"listen on it", [](victims) { return outcome(listen(inherited_socket(), 1)); }},
               {"sendto",
                [](victims) { return outcome(sendto(inherited_socket(), "x", 1, 0, nullptr, 0)); }},
               {"a socket's options",
                [](victims) {
                  const int on = 1;
                  return outcome(
                      setsockopt(inherited_socket(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
                }}}),
      "");
}

int look_into(pid_t pid) {
  char byte = 0;
  const iovec here{&byte, 1}, there{&byte, 1};
  return outcome(process_vm_readv(pid, &here, 1, &there, 1, 0));
}
int write_into(pid_t pid) {
  char byte = 0;
  const iovec here{&byte, 1}, there{&byte, 1};
  return outcome(process_vm_writev(pid, &here, 1, &there, 1, 0));
}
int limit_files_of(pid_t pid) {
  const rlimit limit{0, 0};
  return outcome(prlimit(pid, RLIMIT_NOFILE, &limit, nullptr));
}
int move_to_first_core(pid_t pid) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(0, &set);
  return outcome(sched_setaffinity(pid, sizeof set, &set));
}

TEST(Sandbox, NoOtherProcessCanBeReached) {
  EXPECT_EQ(
      allowed({
          {"kill the zygote", [](victims v) { return outcome(kill(v.zygote, SIGKILL)); }},
          {"kill the program", [](victims v) { return outcome(kill(v.program, SIGTERM)); }},
          {"kill a sibling", [](victims v) { return outcome(kill(v.sibling, SIGKILL)); }},
          {"kill everybody", [](victims) { return outcome(kill(-1, SIGKILL)); }},
          {"kill the group", [](victims) { return outcome(kill(0, SIGKILL)); }},
          {"is it there", [](victims v) { return outcome(kill(v.sibling, 0)); }},
          {"tgkill",
           [](victims v) { return outcome(syscall(SYS_tgkill, v.sibling, v.sibling, SIGKILL)); }},
          {"tkill", [](victims v) { return outcome(syscall(SYS_tkill, v.sibling, SIGKILL)); }},
          {"sigqueue", [](victims v) { return outcome(sigqueue(v.sibling, SIGUSR1, {})); }},
          {"pidfd",
           [](victims v) { return outcome_of_descriptor(syscall(SYS_pidfd_open, v.zygote, 0)); }},
          {"pidfd_getfd", [](victims) { return outcome(syscall(SYS_pidfd_getfd, 3, 0, 0)); }},
          {"pidfd_send_signal",
           [](victims) { return outcome(syscall(SYS_pidfd_send_signal, 3, 9, nullptr, 0)); }},
          {"ptrace", [](victims v) { return outcome(ptrace(PTRACE_ATTACH, v.zygote, 0, 0)); }},
          {"seize", [](victims v) { return outcome(ptrace(PTRACE_SEIZE, v.sibling, 0, 0)); }},
          {"be traced", [](victims) { return outcome(ptrace(PTRACE_TRACEME, 0, 0, 0)); }},
          {"read the zygote", [](victims v) { return look_into(v.zygote); }},
          {"read the program", [](victims v) { return look_into(v.program); }},
          {"write the zygote", [](victims v) { return write_into(v.zygote); }},
          {"write the sibling", [](victims v) { return write_into(v.sibling); }},
          {"write itself that way", [](victims) { return write_into(getpid()); }},
          {"limit the program", [](victims v) { return limit_files_of(v.program); }},
          {"limit itself", [](victims) { return limit_files_of(0); }},
          {"move the zygote", [](victims v) { return move_to_first_core(v.zygote); }},
          {"nice", [](victims v) { return outcome(setpriority(PRIO_PROCESS, v.sibling, 19)); }},
          {"ioprio", [](victims v) { return outcome(syscall(SYS_ioprio_set, 1, v.sibling, 0)); }},
          {"kcmp",
           [](victims v) { return outcome(syscall(SYS_kcmp, v.zygote, v.sibling, 0, 0, 0)); }},
          {"migrate",
           [](victims v) { return outcome(syscall(SYS_migrate_pages, v.sibling, 0, 0, 0)); }},
          {"a descriptor's owner", [](victims v) { return outcome(fcntl(2, F_SETOWN, v.zygote)); }},
          {"its signal", [](victims) { return outcome(fcntl(2, F_SETSIG, SIGKILL)); }},
          {"a lease", [](victims) { return outcome(fcntl(0, F_SETLEASE, F_RDLCK)); }},
          {"the terminal's input", [](victims) { return outcome(ioctl(2, TIOCSTI, "x")); }},
          {"the terminal's group", [](victims v) { return outcome(ioctl(0, TIOCSPGRP, &v)); }},
      }),
      "");
}

template <int Flags>
int new_process(victims) {
  const long pid = syscall(SYS_clone, Flags, nullptr, nullptr, nullptr, nullptr);
  if (pid == 0) _exit(0);
  return outcome(pid);
}

TEST(Sandbox, NoProcessCanBeStartedAndNoProgramRun) {
  EXPECT_EQ(
      allowed({
          {"fork",
           [](victims) {
             const pid_t pid = fork();
             if (pid == 0) _exit(0);
             return outcome(pid);
           }},
          {"clone", new_process<SIGCHLD>},
          {"clone that shares memory", new_process<CLONE_VM | CLONE_VFORK | SIGCHLD>},
          {"clone beside its parent", new_process<CLONE_PARENT | SIGCHLD>},
          {"clone into a user namespace", new_process<CLONE_NEWUSER | SIGCHLD>},
          {"posix_spawn",
           [](victims) {
             char name[] = "true";
             char* arguments[] = {name, nullptr};
             pid_t pid;
             return posix_spawn(&pid, "/bin/true", nullptr, nullptr, arguments, environ);
           }},
          {"execve",
           [](victims) {
             return outcome(execl("/bin/true", "true", static_cast<char*>(nullptr)));
           }},
          {"exec of memory",
           [](victims) {
             const int fd = memfd_create("program", MFD_CLOEXEC);
             char name[] = "program";
             char* arguments[] = {name, nullptr};
             if (write(fd, "#!/bin/true\n", 12) != 12) return -1;
             return outcome(fexecve(fd, arguments, environ));
           }},
          {"memory to be run",
           [](victims) { return outcome_of_descriptor(memfd_create("x", 0x10u /* MFD_EXEC */)); }},
          {"huge pages",
           [](victims) { return outcome_of_descriptor(memfd_create("x", MFD_HUGETLB)); }},
          {"new code",
           [](victims) {
             void* at =
                 mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
             return at == MAP_FAILED ? errno : nothing_wrong;
           }},
          {"data to code",
           [](victims) {
             void* at = mmap(nullptr, 4096, PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
             const int error = outcome(mprotect(at, 4096, PROT_READ | PROT_EXEC));
             munmap(at, 4096);
             return error;
           }},
      }),
      "");
}

TEST(Sandbox, TheKernelsOtherDoorsAreShut) {
  EXPECT_EQ(
      allowed({
          {"io_uring",
           [](victims) {
             char parameters[120] = {};
             return outcome_of_descriptor(syscall(SYS_io_uring_setup, 4, parameters));
           }},
          {"bpf",
           [](victims) {
             char attributes[128] = {};
             return outcome(syscall(SYS_bpf, 0, attributes, sizeof attributes));
           }},
          {"perf",
           [](victims) {
             perf_event_attr a{};
             a.size = sizeof a;
             a.exclude_kernel = 1;
             return outcome_of_descriptor(syscall(SYS_perf_event_open, &a, 0, -1, -1, 0));
           }},
          {"userfaultfd",
           [](victims) { return outcome_of_descriptor(syscall(SYS_userfaultfd, 1)); }},
          {"keyctl", [](victims) { return outcome(syscall(SYS_keyctl, 0, -3, 1)); }},
          {"add_key",
           [](victims) { return outcome(syscall(SYS_add_key, "user", "plait", "x", 1, -3)); }},
          {"mount", [](victims) { return outcome(mount("none", "/tmp", "tmpfs", 0, nullptr)); }},
          {"fsopen",
           [](victims) { return outcome_of_descriptor(syscall(SYS_fsopen, "tmpfs", 0)); }},
          {"unshare", [](victims) { return outcome(unshare(CLONE_NEWUSER)); }},
          {"unshare mounts", [](victims) { return outcome(unshare(CLONE_NEWNS)); }},
          {"setns", [](victims) { return outcome(setns(0, 0)); }},
          {"chroot", [](victims) { return outcome(chroot("/")); }},
          {"pivot_root", [](victims) { return outcome(syscall(SYS_pivot_root, "/", "/")); }},
          {"by handle", [](victims) { return outcome(syscall(SYS_open_by_handle_at, 0, 0, 0)); }},
          {"fanotify",
           [](victims) { return outcome_of_descriptor(syscall(SYS_fanotify_init, 0, 0)); }},
          {"inotify", [](victims) { return outcome_of_descriptor(syscall(SYS_inotify_init1, 0)); }},
          {"module", [](victims) { return outcome(syscall(SYS_init_module, 0, 0, "")); }},
          {"kexec", [](victims) { return outcome(syscall(SYS_kexec_load, 0, 0, 0, 0)); }},
          {"hostname", [](victims) { return outcome(sethostname("x", 1)); }},
          {"clock", [](victims) { return outcome(syscall(SYS_clock_settime, 0, nullptr)); }},
          {"syslog", [](victims) { return outcome(syscall(SYS_syslog, 3, 0, 0)); }},
          {"personality", [](victims) { return outcome(syscall(SYS_personality, 0x0400000)); }},
          {"shmget", [](victims) { return outcome(syscall(SYS_shmget, 0, 4096, 01600)); }},
          {"msgget", [](victims) { return outcome(syscall(SYS_msgget, 0, 01600)); }},
          {"mq_open", [](victims) { return outcome(syscall(SYS_mq_open, "p", O_CREAT, 0600, 0)); }},
          {"setuid", [](victims) { return outcome(setuid(1)); }},
          {"setgroups", [](victims) { return outcome(syscall(SYS_setgroups, 0, nullptr)); }},
          {"capset", [](victims) { return outcome(syscall(SYS_capset, 0, 0)); }},
          {"another filter", [](victims) { return outcome(syscall(SYS_seccomp, 1, 0, 0)); }},
          {"lend priority",
           [](victims) {
             int word = 0;
             return outcome(syscall(SYS_futex, &word, FUTEX_LOCK_PI, 0, nullptr, nullptr, 0));
           }},
          {"page cache",
           [](victims) {
             unsigned char here = 0;
             return outcome(mincore(reinterpret_cast<void*>(4096), 4096, &here));
           }},
          {"splice", [](victims) { return outcome(splice(0, nullptr, 2, nullptr, 1, 0)); }},
          {"preadv2", [](victims) { return outcome(syscall(SYS_preadv2, 0, 0, 0, 0, 0, 0)); }},
          {"outlive the pool", [](victims) { return outcome(prctl(PR_SET_PDEATHSIG, 0)); }},
          {"a tracer", [](victims v) { return outcome(prctl(0x59616d61, v.sibling, 0, 0, 0)); }},
          {"dumps", [](victims) { return outcome(prctl(PR_SET_DUMPABLE, 1)); }},
          {"reaper", [](victims) { return outcome(prctl(PR_SET_CHILD_SUBREAPER, 1)); }},
          {"its own layout", [](victims) { return outcome(prctl(PR_SET_MM, 1, 0, 0, 0)); }},
          {"securebits", [](victims) { return outcome(prctl(PR_SET_SECUREBITS, 0, 0, 0, 0)); }},
      }),
      "");
}

#if defined(__x86_64__)
TEST(Sandbox, TheOtherSystemCallTablesOfTheMachineAreShut) {
  process_pool_executor pool({.max_workers = 1, .sandbox = sandbox{}});
  EXPECT_EQ(pool.submit([] { return outcome(syscall(0x40000000 + SYS_getpid)); }).get(), EPERM);
  const auto by_32_bits = [] {
    long result = 20;  // getpid there
    asm volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
    return static_cast<int>(result);
  };
  try {
    EXPECT_EQ(pool.submit(by_32_bits).get(), -EPERM);
  } catch (const plait::worker_crashed&) {  // a kernel without that table
  }
}
#endif

TEST(Sandbox, PrivilegesAreGoneForGood) {
  process_pool_executor pool({.max_workers = 1, .sandbox = sandbox{.readable = {"/proc"}}});
  const auto status = pool.submit([] {
                            std::ifstream file("/proc/self/status");
                            return std::string(std::istreambuf_iterator<char>(file), {});
                          })
                          .get();
  for (const char* line :
       {"CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"})
    EXPECT_NE(status.find(line), std::string::npos) << line << " is not in\n" << status;
}

// ---- what is listed ----------------------------------------------------------------------------

std::string contents(const std::string& path) {
  std::ifstream file(path);
  if (!file) return "cannot be opened";
  return std::string(std::istreambuf_iterator<char>(file), {});
}
std::string overwrite(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  return file << text << std::flush ? "written" : "cannot be written";
}

TEST(Sandbox, ListedFilesAndFoldersCanBeReadAndTheirNeighboursCannot) {
  plait::testing::temporary_folder folder;
  std::filesystem::create_directories((folder / "in/deep"));
  std::ofstream((folder / "in/deep/a")) << "inside";
  std::ofstream((folder / "one")) << "listed";
  std::ofstream((folder / "other")) << "not listed";
  std::filesystem::create_symlink((folder / "other"), (folder / "in/way_out"));
  process_pool_executor pool(
      {.max_workers = 1, .sandbox = sandbox{.readable = {(folder / "in"), (folder / "one")}}});
  EXPECT_EQ(pool.submit(contents, (folder / "in/deep/a")).get(), "inside");
  EXPECT_EQ(pool.submit(contents, (folder / "one")).get(), "listed");
  EXPECT_EQ(pool.submit(contents, (folder / "other")).get(), "cannot be opened");
  EXPECT_EQ(pool.submit(contents, (folder / "in/way_out")).get(), "cannot be opened");
  EXPECT_EQ(pool.submit(contents, (folder / "in/../other")).get(), "cannot be opened");
  EXPECT_EQ(pool.submit(overwrite, (folder / "one"), "x").get(), "cannot be written");
  EXPECT_EQ(pool.submit(overwrite, (folder / "in/new"), "x").get(), "cannot be written");
  EXPECT_EQ(contents((folder / "one")), "listed");
}

TEST(Sandbox, AWritableFolderTakesFilesAndFoldersButNoLinksOrModes) {
  plait::testing::temporary_folder folder;
  std::filesystem::create_directory((folder / "out"));
  std::ofstream((folder / "secret")) << "secret";
  process_pool_executor pool(
      {.max_workers = 1, .sandbox = sandbox{.writable = {(folder / "out")}}});
  const std::string out = (folder / "out");
  EXPECT_EQ(pool.submit(overwrite, out + "/a", "text").get(), "written");
  EXPECT_EQ(pool.submit(contents, out + "/a").get(), "text");
  const auto moves = [](const std::string& in) {
    std::filesystem::create_directory(in + "/sub");
    std::filesystem::rename(in + "/a", in + "/b");
    std::filesystem::rename(in + "/b", in + "/c");
    std::filesystem::remove(in + "/sub");
    return std::filesystem::exists(in + "/c");
  };
  EXPECT_TRUE(pool.submit(moves, out).get());
  EXPECT_EQ(pool.submit(contents, (folder / "secret")).get(), "cannot be opened");
  const auto refusals = [](const std::string& in) {
    const std::string to = in + "/x";
    return std::vector<int>{outcome(symlink("/etc/passwd", to.c_str())),
                            outcome(link((in + "/c").c_str(), to.c_str())),
                            outcome(mkfifo(to.c_str(), 0600)),
                            outcome(chmod((in + "/c").c_str(), 04755)),
                            outcome_of_descriptor(open(to.c_str(), O_CREAT | O_WRONLY, 04755)),
                            outcome(rename((in + "/c").c_str(), (in + "/../c").c_str()))};
  };
  for (const int error : pool.submit(refusals, out).get())
    EXPECT_TRUE(refused(error) || error == EXDEV) << strerror(error);
}

TEST(Sandbox, APathThatDoesNotExistIsAnErrorOfTheConstructor) {
  try {
    process_pool_executor pool({.sandbox = sandbox{.readable = {"/not/there"}}});
    FAIL();
  } catch (const std::system_error& e) {
    EXPECT_EQ(e.code(), std::errc::no_such_file_or_directory);
    EXPECT_NE(std::string(e.what()).find("/not/there"), std::string::npos) << e.what();
  }
}

TEST(Sandbox, TheInternetIsThereIfItIsAskedForAndNothingElse) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(listener, 5), 0);
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  const plait::process_pool_options options{
      .max_workers = 1, .sandbox = sandbox{.network = sandbox::reach::internet}};
  process_pool_executor pool(options);
  const auto dial = [](std::uint16_t port) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = port;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return outcome(connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to));
  };
  EXPECT_EQ(pool.submit(dial, address.sin_port).get(), nothing_wrong);
  close(listener);
  EXPECT_EQ(tried(unusual_sockets, options), "");
}

// ---- what the kernel lacks ---------------------------------------------------------------------

template <class F>
bool in_a_child(F f) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(50);
    _exit(f() ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return status == 0;
}

std::string complaint(const sandbox& walls) {
  try {
    process_pool_executor pool({.max_workers = 1, .sandbox = walls});
  } catch (const plait::sandbox_unavailable& e) {
    return e.what();
  }
  return "none";
}

constexpr long landlock_create_ruleset = 444;

TEST(Sandbox, AKernelWithoutLandlockIsAnErrorThatSaysSo) {
  EXPECT_TRUE(in_a_child([] {
    refuse_system_call(landlock_create_ruleset, ENOSYS);
    return complaint({}).find("it has no Landlock (Linux 5.13)") != std::string::npos;
  }));
  EXPECT_TRUE(in_a_child([] {
    refuse_system_call(landlock_create_ruleset, EOPNOTSUPP);
    return complaint({}).find("Landlock is switched off") != std::string::npos;
  }));
}

TEST(Sandbox, AKernelWithoutSeccompIsAnErrorThatSaysSo) {
  EXPECT_TRUE(in_a_child([] {
    refuse_system_call(SYS_seccomp, ENOSYS);
    return complaint({}).find("no filters of system calls") != std::string::npos;
  }));
}

TEST(Sandbox, TheBestEffortIsMadeIfItIsAskedForByName) {
  const sandbox lenient{.if_unsupported = sandbox::fallback::best_effort};
  const auto errors = [](const sandbox& walls) {
    process_pool_executor pool({.max_workers = 1, .sandbox = walls});
    return std::pair(pool.submit([] { return open_it<O_RDONLY>("/etc/passwd"); }).get(),
                     pool.submit([] { return socket_of<AF_INET, SOCK_STREAM>({}); }).get());
  };
  EXPECT_TRUE(in_a_child([&] {
    refuse_system_call(landlock_create_ruleset, ENOSYS);
    return errors(lenient) == std::pair(EPERM, EPERM);  // the other wall alone
  }));
  EXPECT_TRUE(in_a_child([&] {
    refuse_system_call(SYS_seccomp, ENOSYS);
    return errors(lenient) == std::pair(EACCES, nothing_wrong);
  }));
}

// ---- the initializer, and what it leaves -------------------------------------------------------

int opened_before = -1;
void open_something() { opened_before = open("/etc/passwd", O_RDONLY | O_CLOEXEC); }

TEST(Sandbox, TheInitializerStandsOutsideAndWhatItOpenedStaysOpen) {
  process_pool_executor pool(
      {.max_workers = 1, .initializer = open_something, .sandbox = sandbox{}});
  const auto look = [] {
    char byte;
    return outcome(pread(opened_before, &byte, 1, 0));
  };
  EXPECT_EQ(pool.submit(look).get(), nothing_wrong);
  EXPECT_EQ(pool.submit([] { return open_it<O_RDONLY>("/etc/passwd"); }).get(), EPERM);
}

void leave_a_thread() {
  std::thread([] { pause(); }).detach();
}

TEST(Sandbox, ThreadsOfTheInitializerAreAnErrorForTheyWouldStandOutside) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the run-time library has a thread itself, so nobody counts";
#endif
  process_pool_executor pool(
      {.max_workers = 1, .initializer = leave_a_thread, .sandbox = sandbox{}});
  try {
    pool.submit([] { return 1; }).get();
    FAIL();
  } catch (const plait::broken_executor& e) {
    EXPECT_NE(std::string(e.what()).find("around 2 threads"), std::string::npos) << e.what();
  }
}

// ---- ordinary work -----------------------------------------------------------------------------

int by_threads(int n) {
  std::mutex mutex;
  std::condition_variable all_here;
  int here = 0;
  std::atomic<int> sum{0};
  std::vector<std::thread> threads;
  for (int i = 1; i <= n; ++i)
    threads.emplace_back([&, i] {
      std::unique_lock hold(mutex);
      if (++here == n) all_here.notify_all();
      all_here.wait(hold, [&] { return here == n; });
      sum += i;
    });
  for (auto& t : threads) t.join();
  return sum;
}

TEST(Sandbox, OrdinaryComputationNoticesNothing) {
  process_pool_executor pool({.max_workers = 2, .sandbox = sandbox{}});
  EXPECT_EQ(pool.submit(by_threads, 8).get(), 36);
  EXPECT_EQ(pool.submit(
                    [](const std::string& s) {
                      return std::regex_replace(s, std::regex("(a+)b"), "<$1>");
                    },
                    "caabd")
                .get(),
            "c<aa>d");
  EXPECT_EQ(pool.submit([] {
                  std::vector<std::vector<int>> pieces;
                  for (int i = 0; i < 1000; ++i) pieces.emplace_back(1000 * (i % 50), i);
                  void* large = std::malloc(std::size_t{300} << 20);
                  large = std::realloc(large, std::size_t{500} << 20);
                  std::memset(large, 1, 5000);
                  std::free(large);
                  return pieces.back().back();
                })
                .get(),
            999);
  EXPECT_TRUE(pool.submit([] {
                    std::mt19937 random(std::random_device{}());
                    const auto now = std::chrono::system_clock::now();
                    std::this_thread::sleep_for(1us);
                    std::ostringstream text;
                    text << random() << std::locale("C").name()
                         << std::thread::hardware_concurrency();
                    return std::chrono::system_clock::now() > now && text.str().size() > 2;
                  })
                  .get());
  EXPECT_THROW(pool.submit([]() -> int { return std::vector<int>().at(1); }).get(),
               std::out_of_range);
  int total = 0;
  std::vector<int> numbers(2000);
  std::iota(numbers.begin(), numbers.end(), 0);
  for (const int n : pool.map([](int i) { return 2 * i; }, numbers)) total += n;
  EXPECT_EQ(total, 1999 * 2000);
}

TEST(Sandbox, LargeMessagesAndSharedArraysTravelBothWays) {
  process_pool_executor pool({.max_workers = 2, .sandbox = sandbox{}});
  for (const std::size_t n : {100u, 5'000u, 100'000u, 10'000'000u}) {
    std::string text(n, 'x');
    for (int round = 0; round < 3; ++round) {
      text[n / 2] = static_cast<char>('a' + round);
      EXPECT_EQ(pool.submit([](std::string s) { return s + "."; }, text).get(), text + ".");
    }
  }
  const auto sum = [](std::span<const int> all) {
    return std::accumulate(all.begin(), all.end(), 0);
  };
  EXPECT_EQ(pool.submit(sum, std::vector<int>(1'000'000, 1)).get(), 1'000'000);
  const plait::shared_array<double> a(10'000);
  pool.submit([](plait::shared_array<double> b) { b[7] = 2.5; }, a).get();
  EXPECT_EQ(a[7], 2.5);
  const auto made = pool.submit(
                            [](std::size_t n) {
                              plait::shared_array<int> made_there(n);
                              made_there[n - 1] = 9;
                              return made_there;
                            },
                            std::size_t{1000})
                        .get();
  EXPECT_EQ(made[999], 9);
}

TEST(Sandbox, AResultThatIsLargerThanAllowedIsAnError) {
  process_pool_executor pool({.max_workers = 1, .sandbox = sandbox{.largest_result = 1 << 20}});
  const auto make = [](std::size_t n) { return std::string(n, 'x'); };
  EXPECT_EQ(pool.submit(make, std::size_t{1} << 19).get().size(), std::size_t{1} << 19);
  EXPECT_THROW(pool.submit(make, std::size_t{1} << 21).get(), plait::serialization_error);
  EXPECT_EQ(pool.submit(make, std::size_t{5}).get(), "xxxxx");
}

TEST(Sandbox, CrashesTimeoutsAndKillsAreWhatTheyAreElsewhere) {
  process_pool_executor pool({.max_workers = 1, .sandbox = sandbox{}});
  const auto crash = []() -> int {
    std::cerr << "about to go wrong\n";
    std::cout << "and said so" << std::endl;
    volatile std::uintptr_t nowhere = 16;  // where the compiler cannot see it
    *reinterpret_cast<volatile int*>(nowhere) = 1;
    return 0;
  };
  try {
    pool.submit(crash).get();
    FAIL();
  } catch (const plait::worker_crashed& e) {
    EXPECT_NE(e.stderr_tail().find("about to go wrong"), std::string::npos);
    EXPECT_NE(e.stderr_tail().find("and said so"), std::string::npos) << "stdout goes to stderr";
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    EXPECT_EQ(e.signal(), SIGSEGV);
    EXPECT_EQ(e.fault_address(), 16u);
    EXPECT_GT(e.frames().size(), 2u);
#else
    EXPECT_NE(e.stderr_tail().find("SEGV"), std::string::npos) << e.stderr_tail();
#endif
  }
  EXPECT_THROW(pool.submit([]() -> int { std::abort(); }).get(), plait::worker_crashed);
  const auto hang = [] {
    for (;;) pause();
    return 0;
  };
  EXPECT_THROW(pool.with({.timeout = 20ms}).submit(hang).get(), plait::task_timeout);
  auto endless = pool.submit(hang);
  pool.kill(endless);
  EXPECT_ANY_THROW(endless.get());  // killed, or taken back before it began
  EXPECT_EQ(pool.submit([] { return 3; }).get(), 3);
}

TEST(Sandbox, LimitsAndReplacementWorkAroundIt) {
  process_pool_executor pool({.max_workers = 1,
                              .max_tasks_per_child = 3,
                              .max_rss_per_child = std::size_t{1} << 30,
                              .limits = {.open_files = 64, .core_size = 0},
                              .sandbox = sandbox{}});
  std::vector<int> pids;
  for (int i = 0; i < 9; ++i) pids.push_back(pool.submit([] { return int(getpid()); }).get());
  std::sort(pids.begin(), pids.end());
  EXPECT_EQ(std::unique(pids.begin(), pids.end()) - pids.begin(), 3);
  const auto files = [] {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    return static_cast<int>(limit.rlim_cur);
  };
  EXPECT_EQ(pool.submit(files).get(), 64);
}

TEST(Sandbox, APoolWithinItFailsAndDoesNotHang) {
  process_pool_executor pool({.max_workers = 1, .sandbox = sandbox{}});
  const auto nested = [] {
    try {
      process_pool_executor inner{1};
      return inner.submit([] { return 0; }).get();
    } catch (const plait::broken_executor&) {
      return 1;
    }
  };
  EXPECT_EQ(pool.submit(nested).get(), 1);
}

}  // namespace

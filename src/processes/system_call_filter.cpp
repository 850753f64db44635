// The system calls that are left to a sandboxed worker. What is not listed is refused with EPERM;
// what has a fallback in the C library, and numbers that are newer than this list, with ENOSYS.
//
// The filter sees numbers and arguments, not what pointers lead to. So calls whose meaning lies behind a
// pointer are not there (clone3, openat2, io_uring), and paths are Landlock's matter.
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/memfd.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <initializer_list>
#include <stdexcept>
#include <vector>

#include "processes/descriptor.hpp"
#include "processes/sandbox_walls.hpp"

#if defined(__x86_64__)
#define PLAIT_SANDBOX_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define PLAIT_SANDBOX_ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

namespace plait::detail {

#if !defined(PLAIT_SANDBOX_ARCHITECTURE)

const char* filter_missing() noexcept {
  return "plait knows the system calls of x86-64 and of 64-bit ARM only";
}
void restrict_system_calls(const sandbox&, int) { throw std::runtime_error(filter_missing()); }

#else

namespace {

constexpr std::uint32_t every_bit = 0xffffffff;
constexpr std::uint32_t newest_known = 462;
constexpr std::uint32_t x32_bit = 0x40000000;

class filter {
 public:
  filter() {
    load(offsetof(seccomp_data, arch));
    add(BPF_JMP | BPF_JEQ | BPF_K, PLAIT_SANDBOX_ARCHITECTURE, 1, 0);
    refuse(EPERM);
    load_number();
    add(BPF_JMP | BPF_JGE | BPF_K, x32_bit, 0, 1);
    refuse(EPERM);
  }
  void allow(std::initializer_list<long> calls) {
    for (const long call : calls) {
      add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0, 1);
      add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    }
  }
  void refuse(long call, int error) {
    add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0, 1);
    refuse(error);
  }
  // By the lower half of an argument; what is not refused goes on to the next rule.
  void refuse_if(long call, int argument, std::uint32_t mask, std::uint32_t value) {
    begin_test(call, argument, mask, 2);
    add(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
    refuse(EPERM);
    load_number();
  }
  void refuse_unless(long call, int argument, std::uint32_t mask,
                     std::initializer_list<std::uint32_t> values) {
    begin_test(call, argument, mask, values.size() + 1);
    auto left = static_cast<std::uint8_t>(values.size());
    for (const std::uint32_t v : values) add(BPF_JMP | BPF_JEQ | BPF_K, v, left--, 0);
    refuse(EPERM);
    load_number();
  }
  // A pointer that must be null.
  void refuse_unless_null(long call, int argument) {
    refuse_unless(call, argument, every_bit, {0});
    upper_half_ = 4;
    refuse_unless(call, argument, every_bit, {0});
    upper_half_ = 0;
  }
  void install() {
    add(BPF_JMP | BPF_JGT | BPF_K, newest_known, 0, 1);
    refuse(ENOSYS);
    refuse(EPERM);
    const sock_fprog program{static_cast<unsigned short>(code_.size()), code_.data()};
    // The Landlock wall stands around one thread; this one stands around all that there may be.
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0)
      throw_errno("cannot install the filter of system calls");
  }

 private:
  void add(int code, std::uint32_t k, std::size_t if_true = 0, std::size_t if_false = 0) {
    code_.push_back({static_cast<std::uint16_t>(code), static_cast<std::uint8_t>(if_true),
                     static_cast<std::uint8_t>(if_false), k});
  }
  void load(std::size_t offset) {
    add(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
  }
  void load_number() { load(offsetof(seccomp_data, nr)); }
  void refuse(int error) {
    add(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error));
  }
  // Unless it is this call, jumps behind the test: `length` instructions and load_number().
  void begin_test(long call, int argument, std::uint32_t mask, std::size_t length) {
    add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0, length + 3);
    load(offsetof(seccomp_data, args) + 8 * static_cast<std::size_t>(argument) + upper_half_);
    add(BPF_ALU | BPF_AND | BPF_K, mask);
  }

  std::vector<sock_filter> code_;
  std::size_t upper_half_ = 0;
};

void add_computation(filter& f) {
  // Not those that lend priority, to whatever thread the futex names.
  f.refuse_unless(SYS_futex, 1, 0x7f,
                  {FUTEX_WAIT, FUTEX_WAKE, FUTEX_WAIT_BITSET, FUTEX_WAKE_BITSET, FUTEX_WAKE_OP,
                   FUTEX_REQUEUE, FUTEX_CMP_REQUEUE});
  f.allow({SYS_futex, SYS_sched_yield, SYS_clock_gettime, SYS_munmap, SYS_madvise, SYS_brk,
           SYS_mremap, SYS_msync, SYS_mlock, SYS_mlock2, SYS_munlock, SYS_membarrier,
           SYS_getrandom});
  // No code but the program's.
  for (const long call : {SYS_mmap, SYS_mprotect}) {
    f.refuse_if(call, 2, PROT_EXEC, PROT_EXEC);
    f.allow({call});
  }
  f.allow({SYS_clock_getres, SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday, SYS_times,
           SYS_timer_create, SYS_timer_settime, SYS_timer_gettime, SYS_timer_getoverrun,
           SYS_timer_delete, SYS_timerfd_create, SYS_timerfd_settime, SYS_timerfd_gettime,
           SYS_getitimer, SYS_setitimer});
  f.allow({SYS_getpid, SYS_getppid, SYS_gettid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid,
           SYS_getgroups, SYS_getpgid, SYS_getsid, SYS_getcpu, SYS_getrusage, SYS_getpriority,
           SYS_uname, SYS_sysinfo});
#if defined(__x86_64__)
  f.allow({SYS_time, SYS_alarm, SYS_getpgrp, SYS_getrlimit});
#endif
}

void add_threads(filter& f) {
  constexpr std::uint32_t thread = CLONE_THREAD | CLONE_VM | CLONE_SIGHAND;
  constexpr std::uint32_t space = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                  CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_PTRACE;
  f.refuse_unless(SYS_clone, 0, thread | space, {thread});
  f.allow({SYS_clone, SYS_set_robust_list, SYS_set_tid_address, SYS_exit, SYS_exit_group,
           SYS_sched_getaffinity, SYS_sched_getparam, SYS_sched_getscheduler,
           SYS_sched_get_priority_max, SYS_sched_get_priority_min});
#if defined(SYS_rseq)
  f.allow({SYS_rseq});
#endif
#if defined(SYS_futex_waitv)
  f.allow({SYS_futex_waitv});
#endif
  f.refuse(SYS_clone3, ENOSYS);  // the C library then uses clone, whose flags can be seen
}

// Of itself and of nobody else.
void add_own_process(filter& f) {
  const auto self = static_cast<std::uint32_t>(getpid());
  f.allow({SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigpending,
           SYS_rt_sigsuspend, SYS_rt_sigtimedwait, SYS_sigaltstack, SYS_restart_syscall,
           SYS_signalfd4});
#if defined(__x86_64__)
  f.allow({SYS_pause});
#endif
  // The crash handler looks at its own stack by process_vm_readv.
  for (const long call :
       {SYS_tgkill, SYS_kill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo, SYS_process_vm_readv}) {
    f.refuse_unless(call, 0, every_bit, {self});
    f.allow({call});
  }
  f.refuse_unless(SYS_prlimit64, 0, every_bit, {0, self});
  f.refuse_unless_null(SYS_prlimit64, 2);  // to ask, not to change
  f.refuse_unless(SYS_prctl, 0, every_bit,
                  {PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, PR_GET_NO_NEW_PRIVS, PR_GET_SECCOMP,
                   0x53564d41 /* PR_SET_VMA: names of anonymous memory */});
  f.allow({SYS_prlimit64, SYS_prctl});
}

void add_descriptors(filter& f, int doorbell, bool may_lock) {
  const auto bell = static_cast<std::uint32_t>(doorbell);
  // The doorbell is shared with other workers: it can be rung, but not silenced by reading, made
  // to block, or given another number under which it could.
  for (const long call : {SYS_read, SYS_readv, SYS_fcntl, SYS_ioctl, SYS_dup, SYS_dup3})
    f.refuse_if(call, 0, every_bit, bell);
#if defined(__x86_64__)
  f.refuse_if(SYS_dup2, 0, every_bit, bell);
  f.allow(
      {SYS_dup2, SYS_poll, SYS_select, SYS_epoll_create, SYS_epoll_wait, SYS_eventfd, SYS_pipe});
#endif
  // Neither owners of signals nor leases, which reach other processes; nor locks that they may want.
  if (may_lock) {
    f.refuse_unless(
        SYS_fcntl, 1, every_bit,
        {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_ADD_SEALS, F_GET_SEALS,
         F_GETLK, F_SETLK, F_SETLKW, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW});
    f.allow({SYS_flock});
  } else {
    f.refuse_unless(
        SYS_fcntl, 1, every_bit,
        {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_ADD_SEALS, F_GET_SEALS});
  }
  f.refuse_unless(SYS_ioctl, 1, every_bit, {TCGETS, FIONREAD, FIOCLEX, FIONCLEX});
  f.refuse_unless(SYS_memfd_create, 1, ~(MFD_CLOEXEC | MFD_ALLOW_SEALING | 8u /* NOEXEC_SEAL */),
                  {0});
  f.allow({SYS_read,      SYS_write,         SYS_readv,       SYS_writev,      SYS_pread64,
           SYS_pwrite64,  SYS_close,         SYS_close_range, SYS_lseek,       SYS_fstat,
           SYS_dup,       SYS_dup3,          SYS_fcntl,       SYS_ioctl,       SYS_ftruncate,
           SYS_fallocate, SYS_fsync,         SYS_fdatasync,   SYS_fadvise64,   SYS_ppoll,
           SYS_pselect6,  SYS_epoll_create1, SYS_epoll_ctl,   SYS_epoll_pwait, SYS_eventfd2,
           SYS_pipe2,     SYS_sendmsg,       SYS_recvmsg,     SYS_memfd_create});
}

constexpr std::uint32_t empty_path = 0x1000;  // AT_EMPTY_PATH: of a descriptor

// Without a listed path nothing can be opened, so there is no use for names at all.
void add_no_paths(filter& f) {
  f.refuse_unless(SYS_newfstatat, 3, empty_path, {empty_path});
  f.refuse_unless(SYS_statx, 2, empty_path, {empty_path});
  f.allow({SYS_newfstatat, SYS_statx});
}

void add_reading(filter& f) {
  const auto check_open = [&f](long call, int flags) {
    // Old Landlocks let a file be cut that is opened for reading, or for neither.
    f.refuse_if(call, flags, O_TRUNC | O_ACCMODE, O_TRUNC | O_RDONLY);
    f.refuse_if(call, flags, O_ACCMODE, O_ACCMODE);
    f.refuse_unless(call, flags + 1, 07000, {0});  // no file runs as its owner
    f.allow({call});
  };
  check_open(SYS_openat, 2);
#if defined(__x86_64__)
  check_open(SYS_open, 1);
  f.allow({SYS_stat, SYS_lstat, SYS_access, SYS_readlink});
#endif
  f.allow({SYS_newfstatat, SYS_statx, SYS_faccessat, SYS_readlinkat, SYS_getdents64, SYS_getcwd,
           SYS_statfs, SYS_fstatfs});
  f.refuse(SYS_openat2, ENOSYS);
#if defined(SYS_faccessat2)
  f.allow({SYS_faccessat2});
#endif
}

void add_writing(filter& f) {
  f.refuse_unless(SYS_mkdirat, 2, 07000, {0});
  f.allow({SYS_mkdirat, SYS_unlinkat, SYS_renameat2, SYS_copy_file_range, SYS_sendfile});
#if defined(__x86_64__)
  f.refuse_unless(SYS_mkdir, 1, 07000, {0});
  f.allow({SYS_mkdir, SYS_rmdir, SYS_unlink, SYS_rename, SYS_renameat});
#endif
}

void add_internet(filter& f) {
  f.refuse_unless(SYS_socket, 0, every_bit, {AF_INET, AF_INET6});
  f.refuse_unless(SYS_socket, 1, 0xf, {SOCK_STREAM, SOCK_DGRAM});
  f.allow({SYS_socket, SYS_connect, SYS_bind, SYS_listen, SYS_accept, SYS_accept4, SYS_getsockopt,
           SYS_setsockopt, SYS_getsockname, SYS_getpeername, SYS_sendto, SYS_recvfrom, SYS_sendmmsg,
           SYS_recvmmsg, SYS_shutdown});
}

}  // namespace

const char* filter_missing() noexcept {
  const std::uint32_t action = SECCOMP_RET_ERRNO;
  if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0) return nullptr;
  return "it has no filters of system calls (CONFIG_SECCOMP_FILTER, Linux 4.14)";
}

void restrict_system_calls(const sandbox& walls, int doorbell) {
  const bool writes = !walls.writable.empty();
  filter f;
  add_computation(f);
  add_descriptors(f, doorbell, writes);
  add_threads(f);
  add_own_process(f);
  if (writes || !walls.readable.empty())
    add_reading(f);
  else
    add_no_paths(f);
  if (writes) add_writing(f);
  if (walls.network == sandbox::reach::internet) add_internet(f);
  f.install();
}

#endif

}  // namespace plait::detail

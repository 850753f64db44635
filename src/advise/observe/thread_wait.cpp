#include "advise/observe/thread_wait.hpp"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <vector>

#include "advise/observe/proc_file.hpp"

namespace plait::detail {
namespace {

using arguments = std::array<std::uint64_t, 6>;

bool read_memory(int pid, std::uint64_t address, void* into, std::size_t size) {
  iovec local{into, size}, remote{reinterpret_cast<void*>(address), size};
  return process_vm_readv(pid, &local, 1, &remote, 1, 0) == static_cast<ssize_t>(size);
}

std::string hexadecimal(std::uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%lx", static_cast<unsigned long>(value));
  return text;
}

thread_wait futex_wait(const arguments& a, int tid, const watched_process& process) {
  const auto command = static_cast<int>(a[1]) & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
  thread_wait wait;
  wait.name = "futex " + hexadecimal(a[0]) + " of " + std::to_string(process.pid);
  if (a[0] >= process.runtime.gil_begin && a[0] < process.runtime.gil_end) {
    wait.what = activity::interpreter_lock;
    wait.name = "the GIL of " + std::to_string(process.pid);
  } else if (command == FUTEX_LOCK_PI || command == FUTEX_LOCK_PI2 ||
             command == FUTEX_WAIT_REQUEUE_PI) {
    wait.what = activity::lock;
  } else if (a[3] != 0) {
    wait.what = activity::timer;
  } else if (command == FUTEX_WAIT && a[2] == 2) {
    wait.what = activity::lock;  // glibc's, Rust's and others' word for "locked, with waiters"
  } else if (a[2] > 2 && a[2] <= 0x400000 && static_cast<int>(a[2]) != tid &&
             (static_cast<int>(a[1]) & FUTEX_PRIVATE_FLAG) == 0) {
    // The kernel itself wakes whoever waits for a thread's id, and knows of no private futexes.
    char path[64];
    std::snprintf(path, sizeof path, "/proc/%d/task/%d", process.pid, static_cast<int>(a[2]));
    wait.what = link_target(std::string(path) + "/exe").empty() ? activity::peer : activity::join;
  } else {
    wait.what = activity::peer;
  }
  return wait;
}

thread_wait of_many(const open_files::many& files) {
  return {.what = files.waits,
          .name = files.name,
          .in_flight = files.in_flight,
          .on_children = files.waits == activity::children,
          .event_loop = true};
}

thread_wait poll_wait(std::uint64_t at, std::uint64_t count, bool timed,
                      const watched_process& process) {
  std::array<pollfd, 256> set;
  count = std::min<std::uint64_t>(count, set.size());
  if (count == 0) return {.what = timed ? activity::sleep : activity::clients};
  if (!read_memory(process.pid, at, set.data(), count * sizeof(pollfd)))
    return {.what = activity::other};
  std::vector<int> fds;
  for (std::size_t i = 0; i < count; ++i)
    if (set[i].fd >= 0) fds.push_back(set[i].fd);
  // Whoever polls a single connection waits for it, whatever was sent before.
  if (fds.size() == 1 && process.files.look_at(fds[0], process.now).waits == activity::network)
    return {.what = activity::network, .name = process.files.look_at(fds[0], process.now).name};
  return of_many(process.files.look_at_all(fds, timed, process.now));
}

thread_wait select_wait(const arguments& a, const watched_process& process) {
  const auto count = std::min<std::uint64_t>(a[0], 1024);
  std::vector<int> fds;
  for (const int set : {1, 2, 3}) {
    std::array<std::uint64_t, 16> bits{};
    if (a[static_cast<std::size_t>(set)] == 0 || count == 0) continue;
    if (!read_memory(process.pid, a[static_cast<std::size_t>(set)], bits.data(),
                     (count + 63) / 64 * 8))
      continue;
    for (std::uint64_t fd = 0; fd < count; ++fd)
      if ((bits[fd / 64] >> (fd % 64) & 1) != 0) fds.push_back(static_cast<int>(fd));
  }
  const bool timed = a[4] != 0;
  if (fds.empty()) return {.what = timed ? activity::sleep : activity::clients, .name = "a time"};
  if (fds.size() == 1 && process.files.look_at(fds[0], process.now).waits == activity::network)
    return {.what = activity::network, .name = process.files.look_at(fds[0], process.now).name};
  return of_many(process.files.look_at_all(fds, timed, process.now));
}

thread_wait descriptor_wait(int fd, const watched_process& process) {
  const open_file& file = process.files.look_at(fd, process.now);
  return {.what = file.waits, .name = file.name};
}

}  // namespace

thread_wait wait_of(std::string_view line, int tid, const watched_process& process) {
  if (line.starts_with("running")) return {.what = activity::running};
  if (line.empty()) return {};
  const auto number = next_number(line);
  arguments a{};
  for (auto& argument : a) argument = static_cast<std::uint64_t>(next_number(line));
  if (number < 0) {
    // In no system call: a page that is fetched, or a thread that a signal has stopped.
    const std::string stat = read_whole("/proc/" + std::to_string(process.pid) + "/task/" +
                                        std::to_string(tid) + "/stat");
    const auto name_end = stat.rfind(')');
    const char state = name_end + 2 < stat.size() ? stat[name_end + 2] : '?';
    if (state == 'R') return {.what = activity::running};
    if (state == 'Z' || state == 'X') return {};
    if (state == 'T' || state == 't')
      return {.what = activity::clients, .name = "a signal to go on"};
    return {.what = activity::disk, .name = "pages of memory"};
  }
  const auto fd = static_cast<int>(a[0]);
  switch (number) {
    case SYS_futex:
      return futex_wait(a, tid, process);
#ifdef SYS_futex_waitv
    case SYS_futex_waitv:
      return {.what = a[3] != 0 ? activity::timer : activity::peer};
#endif
#ifdef SYS_poll
    case SYS_poll:
      return poll_wait(a[0], a[1], static_cast<int>(a[2]) >= 0, process);
    case SYS_select:
      return select_wait(a, process);
    case SYS_epoll_wait:
#endif
    case SYS_epoll_pwait:
      return of_many(process.files.look_at_epoll(fd, static_cast<int>(a[3]) > 0, process.now));
#ifdef SYS_epoll_pwait2
    case SYS_epoll_pwait2:
      return of_many(process.files.look_at_epoll(fd, a[3] != 0, process.now));
#endif
    case SYS_ppoll:
      return poll_wait(a[0], a[1], a[2] != 0, process);
    case SYS_pselect6:
      return select_wait(a, process);
    case SYS_io_uring_enter: {
      auto all = process.files.look_at_everything(process.now);
      if (all.waits != activity::network && all.waits != activity::clients) {
        all.waits = activity::disk;
        all.name = "io_uring";
      }
      return of_many(all);
    }
    case SYS_nanosleep:
    case SYS_clock_nanosleep:
      return {.what = activity::sleep, .name = "a time"};
    case SYS_wait4:
    case SYS_waitid:
#ifdef SYS_vfork
    case SYS_vfork:
#endif
    case SYS_clone:
#ifdef SYS_clone3
    case SYS_clone3:
#endif
      return {.what = activity::children, .on_children = true};
#ifdef SYS_pause
    case SYS_pause:
#endif
    case SYS_rt_sigsuspend:
    case SYS_rt_sigtimedwait:
      return {.what = activity::clients, .name = "a signal"};
    case SYS_accept:
    case SYS_accept4:
      return {.what = activity::clients, .name = process.files.look_at(fd, process.now).name};
    case SYS_connect:
      return {.what = activity::network, .name = process.files.look_at(fd, process.now).name};
    case SYS_flock:
      return {.what = activity::lock, .name = process.files.look_at(fd, process.now).name};
    case SYS_fcntl:
      return {.what = activity::lock, .name = process.files.look_at(fd, process.now).name};
    case SYS_semop:
    case SYS_semtimedop:
      return {.what = a[3] != 0 && number == SYS_semtimedop ? activity::timer : activity::peer,
              .name = "a System V semaphore"};
    case SYS_msgrcv:
    case SYS_msgsnd:
    case SYS_mq_timedreceive:
    case SYS_mq_timedsend:
      return {.what = activity::pipe, .name = "a message queue"};
    case SYS_read:
    case SYS_readv:
    case SYS_write:
    case SYS_writev:
    case SYS_pread64:
    case SYS_pwrite64:
    case SYS_preadv:
    case SYS_pwritev:
    case SYS_preadv2:
    case SYS_pwritev2:
    case SYS_recvfrom:
    case SYS_sendto:
    case SYS_recvmsg:
    case SYS_sendmsg:
    case SYS_recvmmsg:
    case SYS_sendmmsg:
    case SYS_splice:
    case SYS_tee:
    case SYS_sendfile:
      return descriptor_wait(fd, process);
    case SYS_fsync:
    case SYS_fdatasync:
    case SYS_sync_file_range:
    case SYS_fallocate:
    case SYS_ftruncate:
    case SYS_getdents64:
    case SYS_syncfs:
    case SYS_fadvise64:
    case SYS_readahead:
    case SYS_copy_file_range:
      return {.what = activity::disk, .name = process.files.look_at(fd, process.now).name};
    case SYS_sync:
    case SYS_msync:
    case SYS_openat:
    case SYS_unlinkat:
    case SYS_renameat2:
    case SYS_mkdirat:
    case SYS_newfstatat:
    case SYS_statx:
    case SYS_execve:
    case SYS_close:
    case SYS_io_getevents:
    case SYS_io_submit:
    case SYS_mount:
    case SYS_umount2:
#ifdef SYS_open
    case SYS_open:
    case SYS_stat:
    case SYS_lstat:
    case SYS_unlink:
    case SYS_rename:
    case SYS_mkdir:
    case SYS_rmdir:
#endif
      return {.what = activity::disk, .name = "a file system"};
    case SYS_ioctl:
      return descriptor_wait(fd, process);
    default:
      return {.what = activity::other, .name = "system call " + std::to_string(number)};
  }
}

}  // namespace plait::detail

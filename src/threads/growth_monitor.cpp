#include "threads/growth_monitor.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "threads/worker.hpp"

namespace plait::detail {
namespace {

constexpr auto interval = std::chrono::milliseconds(1);

// CPU time of a thread in nanoseconds; -1 if it has ended.
std::int64_t cpu_time_of(std::thread& thread) noexcept {
  clockid_t clock{};
  timespec t{};
  if (!thread.joinable() || pthread_getcpuclockid(thread.native_handle(), &clock) != 0 ||
      clock_gettime(clock, &t) != 0)
    return -1;
  return t.tv_sec * std::int64_t{1'000'000'000} + t.tv_nsec;
}

// Whether the kernel has the thread waiting for something other than a CPU.
// Source: proc(5), /proc/[pid]/task/[tid]/stat, field 3.
bool is_asleep(int tid) noexcept {
  char path[48], text[128];
  std::snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd == -1) return false;
  const ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  if (n <= 0) return false;
  text[n] = 0;
  const char* name_end = std::strrchr(text, ')');  // the name may hold anything
  return name_end != nullptr && name_end + 2 < text + n && name_end[2] != 'R';
}

}  // namespace

void growth_monitor::backlog() noexcept {
  if (wanted_.load(std::memory_order_relaxed)) return;  // it is looking already
  const std::lock_guard hold(mutex_);
  if (stopping_) return;
  wanted_ = true;
  if (!thread_.joinable()) {
    try {
      thread_ = std::thread([this] { watch(); });
    } catch (...) {  // no threads left: then there are none to grow by either
      wanted_ = false;
    }
  }
  changed_.notify_one();
}

void growth_monitor::stop() noexcept {
  {
    const std::lock_guard hold(mutex_);
    stopping_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void growth_monitor::watch() noexcept {
  pthread_setname_np(pthread_self(), "plait-growth");
  std::unique_lock hold(mutex_);
  while (!stopping_) {
    changed_.wait(hold, [&] { return wanted_ || stopping_; });
    for (auto before = std::chrono::steady_clock::now(); wanted_ && !stopping_;) {
      changed_.wait_for(hold, interval, [&] { return stopping_; });
      const auto now = std::chrono::steady_clock::now();
      wanted_ = false;
      hold.unlock();
      look(now - before);
      hold.lock();
      before = now;
    }
  }
}

void growth_monitor::look(std::chrono::nanoseconds elapsed) noexcept {
  std::size_t waiting = 0;
  {
    const std::lock_guard hold(pool_.threads_);
    for (std::size_t i = 0; i < pool_.slots_used_; ++i) {
      auto& w = *pool_.slots_[i].load();
      const bool busy = w.busy.load(std::memory_order_relaxed);
      const auto cpu = busy ? cpu_time_of(w.thread) : -1;
      const bool still = busy && w.was_busy && cpu >= 0 && (cpu - w.cpu_time) * 5 < elapsed.count();
      if (still && is_asleep(w.tid.load(std::memory_order_relaxed))) ++waiting;
      w.cpu_time = cpu;
      w.was_busy = busy && cpu >= 0;
    }
  }
  const std::size_t most = pool_.most_.load(std::memory_order_relaxed);
  const std::size_t before = pool_.limit_.load();
  const std::size_t limit = std::clamp(pool_.cpus_ + waiting, std::min(pool_.base_, most), most);
  pool_.limit_.store(limit, std::memory_order_seq_cst);
  if (!pool_.has_work()) return;
  // Each helper that finds work calls the next one; one call for every place that was made, since
  // those that find short calls would call nobody.
  for (std::size_t i = before; i <= limit; ++i) pool_.call_for_help();
  backlog();
}

}  // namespace plait::detail

#include "advise/call_lane.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace plait::detail {
namespace {

constexpr double shortly = 20e-6;  // a clock read twice costs 0.3 % of it
constexpr unsigned in_a_row = 64, stands_for = 16;

// The text of a small file of the kernel's; empty if there is none.
std::size_t read_whole(int fd, char* text, std::size_t room) noexcept {
  const ssize_t n = pread(fd, text, room - 1, 0);
  text[n > 0 ? n : 0] = 0;
  return n > 0 ? std::size_t(n) : 0;
}

}  // namespace

call_lane::call_lane() : tid(static_cast<int>(syscall(SYS_gettid))) {}
call_lane::~call_lane() {
  if (account_ >= 0) close(account_);
}

std::int64_t call_lane::now() noexcept {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * std::int64_t{1'000'000'000} + t.tv_nsec;
}

void call_lane::ended_one(std::int64_t began, bool same_epoch) noexcept {
  const double took = double(now() - began) * 1e-9;
  add(ended, std::uint64_t{1});
  const double weight = shorts_ >= in_a_row ? stands_for : 1;
  if (same_epoch) {
    add(whole, weight);
    add(latency, weight * took);
    add(squares, weight * took * took);
  }
  if (took > longest.load(std::memory_order_relaxed))
    longest.store(took, std::memory_order_relaxed);
  if (took >= shortly) {
    shorts_ = 0;
  } else if (++shorts_ >= in_a_row) {
    skip_ = stands_for - 1;
  }
}

// Source: Documentation/scheduler/sched-stats.rst, "/proc/<pid>/schedstat".
bool call_lane::read(account& since_last) noexcept {
  char text[96];
  if (account_ == -1) {
    std::snprintf(text, sizeof text, "/proc/self/task/%d/schedstat", tid);
    account_ = open(text, O_RDONLY | O_CLOEXEC);
    if (account_ == -1) account_ = -2;
  }
  if (account_ < 0 || read_whole(account_, text, sizeof text) == 0) return false;
  char* rest = nullptr;
  const double computing = 1e-9 * double(std::strtoull(text, &rest, 10));
  const double runnable = 1e-9 * double(std::strtoull(rest, nullptr, 10));
  const bool first = computing_ < 0;
  since_last = {std::max(0.0, computing - computing_), std::max(0.0, runnable - runnable_)};
  computing_ = computing;
  runnable_ = runnable;
  return !first;
}

// The clock, because what the kernel's account says of a thread that runs is a few milliseconds old.
call_lane::account call_lane::own() noexcept {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  account now{double(t.tv_sec) + 1e-9 * double(t.tv_nsec), 0};
  const int fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
  if (fd == -1) return now;
  char text[96], *rest = nullptr;
  if (read_whole(fd, text, sizeof text) != 0) {
    std::strtoull(text, &rest, 10);
    now.runnable = 1e-9 * double(std::strtoull(rest, nullptr, 10));
  }
  close(fd);
  return now;
}

// Source: proc(5), /proc/[pid]/syscall.
call_lane::waiting call_lane::look() const noexcept {
  char text[128];
  std::snprintf(text, sizeof text, "/proc/self/task/%d/syscall", tid);
  const int fd = open(text, O_RDONLY | O_CLOEXEC);
  if (fd == -1) return waiting::not_at_all;
  const std::size_t n = read_whole(fd, text, sizeof text);
  close(fd);
  char* rest = text;
  const long number = n > 0 ? std::strtol(text, &rest, 10) : -1;
  if (rest == text || number < 0) return waiting::not_at_all;  // "running", or a page fault
  return number == SYS_futex ? waiting::for_a_futex : waiting::for_the_world;
}

}  // namespace plait::detail

#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <latch>
#include <nlohmann/json.hpp>
#include <semaphore>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "cli/machine.hpp"
#include "cli/measure/measurements.hpp"
#include "cli/measure/stopwatch.hpp"
#include "plait/coroutines.hpp"
#include "plait/processes.hpp"

namespace plait::cli {
namespace {

using real_clock = std::chrono::steady_clock;

// When no further worker has come for that long, none will.
constexpr std::chrono::seconds longest_pause{1};

// What a population came to. `stopped_by` is "cap" when nothing but the request stopped it.
struct population {
  std::size_t count = 0, cap = 0;
  std::string stopped_by = "cap";
  double bytes = 0;  // that the machine gave for all of them
  lap start{};       // until the last of them ran

  nlohmann::json json() const {
    const double n = static_cast<double>(std::max<std::size_t>(count, 1));
    return {{"seconds", start.seconds},
            {"cpu_seconds", start.cpu_seconds},
            {"count", count},
            {"cap", cap},
            {"stopped_by", stopped_by},
            {"bytes_each", bytes / n},
            {"start_seconds", start.seconds / n}};
  }
};

// Memory that only threads take: what this process has in RAM, its page tables, kernel stacks.
double memory_with_kernel_side() {
  return static_cast<double>(read_kilobytes("/proc/self/status", "VmRSS") +
                             read_kilobytes("/proc/self/status", "VmPTE") +
                             read_kilobytes("/proc/meminfo", "KernelStack"));
}

// What would be freed if this process ended: pages that it shares with nobody.
double private_memory(int pid) {
  const std::string file = fmt::format("/proc/{}/smaps_rollup", pid);
  return static_cast<double>(read_kilobytes(file, "Private_Clean") +
                             read_kilobytes(file, "Private_Dirty"));
}

std::size_t default_stack_bytes() {
  pthread_attr_t attributes;
  std::size_t bytes = 0;
  if (pthread_getattr_default_np(&attributes) == 0) {
    pthread_attr_getstacksize(&attributes, &bytes);
    pthread_attr_destroy(&attributes);
  }
  return bytes;
}

struct crowd {
  std::size_t here = 0, most = 0;
};

task<> stay_until(time_point end, crowd& all) {
  all.most = std::max(all.most, ++all.here);
  co_await sleep(end - plait::event_loop::current().now());
  --all.here;
}

task<> hold_coroutines(population& held, double seconds) {
  const double before = static_cast<double>(read_kilobytes("/proc/self/status", "VmRSS"));
  crowd all;
  const stopwatch watch;
  const auto end = real_clock::now() + std::chrono::duration_cast<plait::duration>(
                                           std::chrono::duration<double>(seconds));
  std::vector<task<>> tasks;
  tasks.reserve(held.cap);
  for (std::size_t i = 0; i < held.cap; ++i) tasks.push_back(stay_until(end, all));
  tasks.push_back([](population& h, crowd& c, const stopwatch& w, double b) -> task<> {
    h.start = w.read();  // this one began last: all others are asleep
    h.count = c.here;
    h.bytes = static_cast<double>(read_kilobytes("/proc/self/status", "VmRSS")) - b;
    co_return;
  }(held, all, watch, before));
  co_await gather(std::move(tasks));
}

// A pipe that nobody writes to: it ends for all who read it when the gate is opened.
class gate {
 public:
  gate() {
    if (pipe2(ends_, O_CLOEXEC) != 0)
      throw std::system_error(errno, std::generic_category(), "pipe");
  }
  ~gate() {
    open();
    close(ends_[0]);
  }
  gate(const gate&) = delete;
  gate& operator=(const gate&) = delete;
  // How another process of this user can read it.
  std::string path() const { return fmt::format("/proc/{}/fd/{}", getpid(), ends_[0]); }
  void open() noexcept {
    if (ends_[1] >= 0) close(std::exchange(ends_[1], -1));
  }

 private:
  int ends_[2];
};

// In a worker: stays until the gate opens.
int stay(const std::string& gate_path) {
  const int fd = open(gate_path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  char nothing;
  while (read(fd, &nothing, 1) < 0 && errno == EINTR) {
  }
  close(fd);
  return 0;
}

// The workers, when all of them are there or no more come; `start` is when the last one came.
std::vector<int> grown_pool(const process_pool_executor& pool,
                            const std::vector<future<int>>& calls, const stopwatch& watch,
                            lap& start) {
  std::vector<int> pids;
  for (auto last_came = real_clock::now(); real_clock::now() - last_came < longest_pause;) {
    auto now = pool.worker_pids();
    if (now.size() > pids.size()) {
      pids = std::move(now);
      start = watch.read();
      last_came = real_clock::now();
    }
    // A call that has ended before the gate is open has failed, and so will all others.
    if (pids.size() >= calls.size() || calls.back().done()) break;
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  return pids;
}

}  // namespace

nlohmann::json measure_held_threads(const measurement_options& options) {
  population held{.cap = options.count};
  std::counting_semaphore<> running{0};
  std::latch go{1};
  std::vector<std::thread> threads;
  threads.reserve(options.count);
  const double before = memory_with_kernel_side();
  const stopwatch watch;
  try {
    while (threads.size() < options.count)
      threads.emplace_back([&] {
        running.release();
        go.wait();
      });
  } catch (const std::system_error&) {
    held.stopped_by = describe_task_limit(threads.size());
  }
  for (std::size_t i = 0; i < threads.size(); ++i) running.acquire();
  held.start = watch.read();
  held.count = threads.size();
  held.bytes = memory_with_kernel_side() - before;
  go.count_down();
  for (auto& thread : threads) thread.join();
  auto result = held.json();
  result["reserved_each"] = default_stack_bytes();
  return result;
}

nlohmann::json measure_held_coroutines(const measurement_options& options) {
  population held{.cap = options.count};
  // A frame has no limit but memory: stay well inside of it.
  const double available = static_cast<double>(read_kilobytes("/proc/meminfo", "MemAvailable"));
  constexpr double generous_frame = 1024;
  const auto fitting = static_cast<std::size_t>(available / 2 / generous_frame);
  if (fitting < held.cap) {
    held.cap = fitting;
    held.stopped_by = "half of the free memory";
  }
  run(hold_coroutines(held, options.seconds));
  return held.json();
}

nlohmann::json measure_held_workers(const measurement_options& options) {
  population held{.cap = options.count};
  const double before = static_cast<double>(read_kilobytes("/proc/self/status", "VmRSS"));
  process_pool_executor pool{options.count};
  gate way_out;  // opened before the pool waits for its calls, however this ends
  std::vector<future<int>> calls;
  const stopwatch watch;
  try {
    while (calls.size() < options.count) calls.push_back(pool.submit(stay, way_out.path()));
  } catch (const error& e) {
    held.stopped_by = e.what();
  }
  const auto pids = grown_pool(pool, calls, watch, held.start);
  held.count = pids.size();
  if (held.count < held.cap && held.stopped_by == "cap")
    held.stopped_by = "no more came; nearest limit: " + describe_task_limit(held.count);
  // A worker's channel is shared with this process, so it shows here.
  held.bytes = static_cast<double>(read_kilobytes("/proc/self/status", "VmRSS")) - before;
  for (const int pid : pids) held.bytes += private_memory(pid);
  way_out.open();
  for (auto& call : calls) (void)call.exception();  // held.stopped_by has said it
  return held.json();
}

}  // namespace plait::cli

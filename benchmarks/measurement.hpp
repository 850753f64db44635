// benchmarks/measurement.hpp: stopwatches, arguments and the one line that a benchmark program
// prints.
//
// Every program here, ours or a peer's, is called `program mode [n [workers [repeats]]]` (HTTP
// clients take the server's address, ip:port, in the last place) and prints
//   R bench=<mode> impl=<name> n=<operations> secs=.. ns_op=.. cpu_ns_op=.. hwm_kb=.. key=value ...
// which ../bench reads. n 0 means the mode's own default.
#pragma once

#include <malloc.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace measurement {

struct arguments {
  std::string mode;
  long n = 0;
  int workers = 2;
  int repeats = 3;
  std::string target;

  long n_or(long fallback) const { return n > 0 ? n : fallback; }
};

struct lap {
  double seconds = 0;
  double cpu_seconds = 0;
};

inline double wall_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// User and system time of this whole process.
inline double cpu_now() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

class stopwatch {
 public:
  double started() const { return wall_; }
  lap read() const { return {wall_now() - wall_, cpu_now() - cpu_}; }

 private:
  double cpu_ = cpu_now();
  double wall_ = wall_now();
};

// The fastest of `repeats` laps of body(); the first of them also touches the memory.
template <class Body>
lap best_of(int repeats, Body body) {
  lap best = body();
  for (int i = 1; i < repeats; ++i) {
    const lap next = body();
    if (next.seconds < best.seconds) best = next;
  }
  return best;
}

// A figure in kB from /proc/self/status, such as VmHWM; -1 if the kernel does not say.
inline long status_kb(const char* key) {
  std::FILE* status = std::fopen("/proc/self/status", "r");
  if (status == nullptr) return -1;
  char line[256];
  long value = -1;
  const std::size_t length = std::strlen(key);
  while (value < 0 && std::fgets(line, sizeof line, status) != nullptr)
    if (std::strncmp(line, key, length) == 0 && line[length] == ':')
      value = std::atol(line + length + 1);
  std::fclose(status);
  return value;
}

// As many open files as this user may have.
inline void raise_open_files() {
  rlimit limit{1048576, 1048576};
  if (setrlimit(RLIMIT_NOFILE, &limit) == 0) return;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// Freed memory stays in the process, so that repeats measure the library and not page faults.
inline void keep_freed_memory() {
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
}

using extra_figures = std::initializer_list<std::pair<const char*, double>>;

inline void report(const std::string& bench, const char* implementation, double operations,
                   lap total, extra_figures extras = {}) {
  std::printf("R bench=%s impl=%s n=%.0f secs=%.6f ns_op=%.3f cpu_ns_op=%.3f hwm_kb=%ld",
              bench.c_str(), implementation, operations, total.seconds,
              total.seconds * 1e9 / operations, total.cpu_seconds * 1e9 / operations,
              status_kb("VmHWM"));
  for (const auto& [key, value] : extras) std::printf(" %s=%.9g", key, value);
  std::printf("\n");
  std::fflush(stdout);
}

using mode_function = void (*)(const arguments&);

// Runs the mode that argv[1] names. Returns 2, after a line on stderr, if there is none such.
inline int run_mode(int argc, char** argv,
                    std::initializer_list<std::pair<std::string_view, mode_function>> modes) {
  arguments given;
  if (argc > 1) given.mode = argv[1];
  if (argc > 2) given.n = std::atol(argv[2]);
  if (argc > 3) given.workers = std::atoi(argv[3]);
  if (argc > 4) given.repeats = std::atoi(given.target.assign(argv[4]).c_str());
  for (const auto& [name, function] : modes) {
    if (given.mode != name) continue;
    function(given);
    return 0;
  }
  std::fprintf(stderr, "usage: %s mode [n [workers [repeats or target]]], where mode is one of",
               argv[0]);
  for (const auto& entry : modes) std::fprintf(stderr, " %s", entry.first.data());
  std::fprintf(stderr, "\n");
  return 2;
}

}  // namespace measurement

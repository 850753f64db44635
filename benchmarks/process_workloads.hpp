// benchmarks/process_workloads.hpp: calls and reports that every process pool's program shares.
#pragma once

#include <algorithm>
#include <vector>

#include "measurement.hpp"

namespace workloads {

inline constexpr long array_doubles = 64L * 1024 * 1024 / static_cast<long>(sizeof(double));

// Longer than a pool spins, so that its workers sleep; short enough for the CPU to stay awake. After
// 5 ms a virtual CPU needs another 20 us or so to come back, at each end, whatever the pool does.
inline constexpr timespec pause_until_asleep{0, 200'000};

inline int triple_plus_one(int x) { return 3 * x + 1; }

inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

enum class pace { back_to_back, after_a_pause };

// call(i) asks a worker for triple_plus_one(i) and waits. Reports the median round trip.
template <class Call>
void round_trips(const measurement::arguments& given, const char* implementation, long n,
                 pace between, Call call) {
  std::vector<double> microseconds;
  for (int i = 0; i < 100; ++i) call(i);  // start the workers
  const measurement::stopwatch whole;
  for (int i = 0; i < n; ++i) {
    if (between == pace::after_a_pause) nanosleep(&pause_until_asleep, nullptr);
    const double before = measurement::wall_now();
    if (call(i) != triple_plus_one(i)) std::abort();
    microseconds.push_back((measurement::wall_now() - before) * 1e6);
  }
  measurement::report(given.mode, implementation, static_cast<double>(n), whole.read(),
                      {{"us", median(microseconds)}});
}

// once() gives the milliseconds that one trial took; reports their median as `key`.
template <class Once>
void median_of(const measurement::arguments& given, const char* implementation, long trials,
               const char* key, Once once) {
  std::vector<double> milliseconds;
  const measurement::stopwatch whole;
  for (long i = 0; i < trials; ++i) milliseconds.push_back(once());
  measurement::report(given.mode, implementation, static_cast<double>(trials), whole.read(),
                      {{key, median(milliseconds)}});
}

inline double milliseconds_since(double wall) { return (measurement::wall_now() - wall) * 1e3; }

// What copying the array costs inside one process, on warm pages.
inline double memcpy_milliseconds() {
  const std::vector<double> from(array_doubles, 1.0);
  std::vector<double> to(array_doubles, 0.0);
  double best = 1e99;
  for (int i = 0; i < 5; ++i) {
    const double before = measurement::wall_now();
    std::memcpy(to.data(), from.data(), array_doubles * sizeof(double));
    best = std::min(best, milliseconds_since(before));
    if (to[static_cast<std::size_t>(i)] != 1.0) std::abort();
  }
  return best;
}

}  // namespace workloads

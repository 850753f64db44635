// benchmarks/coroutine_workloads.hpp: sizes and reports that every coroutine program shares.
#pragma once

#include "measurement.hpp"

namespace workloads {

inline constexpr int semaphore_tasks = 100;
inline constexpr int semaphore_permits = 10;
inline constexpr int queue_capacity = 1024;
inline constexpr int queue_consumers = 3;
inline constexpr int end_of_items = -1;

// Timers of the churn: 1,000 alive, due in 10 to 11 s; the oldest is cancelled, a new one set.
inline constexpr long timers_alive = 1000;
inline long timer_delay_ms(long i) { return 10000 + i % timers_alive; }

// Prevents the compiler from dropping work whose result nobody needs.
inline long checksum = 0;

inline void report_coroutines(const measurement::arguments& given, const char* implementation,
                              long n, const measurement::stopwatch& watch) {
  measurement::report(given.mode, implementation, static_cast<double>(n), watch.read(),
                      {{"sum", static_cast<double>(checksum)}});
}

// n tasks have each slept for one second. Bytes are the process's peak over that before the first.
inline void report_sleepers(const measurement::arguments& given, const char* implementation, long n,
                            const measurement::stopwatch& watch, long before_kb) {
  const measurement::lap total = watch.read();
  const long peak_kb = measurement::status_kb("VmHWM");
  measurement::report(
      given.mode, implementation, static_cast<double>(n), total,
      {{"bytes", 1024.0 * static_cast<double>(peak_kb - before_kb) / static_cast<double>(n)},
       {"over_one_second", total.seconds - 1.0},
       {"sum", static_cast<double>(checksum)}});
}

}  // namespace workloads

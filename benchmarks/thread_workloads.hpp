// benchmarks/thread_workloads.hpp: the work that every thread pool is given, ours and the peers'.
#pragma once

#include <cmath>
#include <cstdint>
#include <numeric>
#include <thread>
#include <vector>

#include "measurement.hpp"

namespace workloads {

// The article's CPU-bound function: trial division by every number up to the square root.
[[gnu::noinline]] inline bool is_prime(std::int64_t n) {
  if (n < 2) return false;
  const auto limit = static_cast<std::int64_t>(std::sqrt(static_cast<double>(n)));
  for (std::int64_t i = 2; i <= limit; ++i)
    if (n % i == 0) return false;
  return true;
}

inline std::vector<std::int64_t> article_numbers(long copies) {
  std::vector<std::int64_t> numbers;
  for (long i = 0; i < copies; ++i)
    numbers.insert(numbers.end(), {112272535095293, 112582705942171, 115280095190773,
                                   115797848077099, 1099726899285419, 115280095190773});
  return numbers;
}

// How often fib(n) forks: half of its calls but one.
inline double fork_count(long n) {
  double previous = 1;
  double calls = 1;
  for (long i = 2; i <= n; ++i) previous = std::exchange(calls, calls + previous + 1);
  return (calls - 1) / 2;
}

// submit(i) gives a future of the int i; all N are submitted, then all are read.
template <class Submit, class Get>
void submit_then_get(const measurement::arguments& given, const char* implementation, Submit submit,
                     Get get) {
  using future = decltype(submit(0));
  const long n = given.n_or(1'000'000);
  long sum = 0;
  const measurement::lap best = measurement::best_of(given.repeats, [&] {
    std::vector<future> futures;
    futures.reserve(static_cast<std::size_t>(n));
    const measurement::stopwatch watch;
    for (long i = 0; i < n; ++i) futures.push_back(submit(static_cast<int>(i & 7)));
    for (auto& pending : futures) sum += get(pending);
    return watch.read();
  });
  measurement::report(given.mode, implementation, static_cast<double>(n), best,
                      {{"sum", static_cast<double>(sum)}});
}

// fork_join() computes fib(n) once, a fork for every node.
template <class Fib>
void fork_join(const measurement::arguments& given, const char* implementation, Fib fib) {
  const long n = given.n_or(30);
  long value = 0;
  const measurement::lap best = measurement::best_of(given.repeats, [&] {
    const measurement::stopwatch watch;
    value = fib(n);
    return watch.read();
  });
  measurement::report(given.mode, implementation, fork_count(n), best,
                      {{"fib", static_cast<double>(value)}});
}

// map(numbers) counts the primes in parallel. Reports how much faster that is than one thread.
template <class Map>
void primes_speed_up(const measurement::arguments& given, const char* implementation, Map map) {
  const auto numbers = article_numbers(given.n_or(4));
  long serial_primes = 0;
  long primes = 0;
  measurement::lap serial{1e99, 0};
  measurement::lap parallel{1e99, 0};
  for (int i = 0; i < given.repeats; ++i) {
    const measurement::stopwatch serial_watch;
    serial_primes = std::accumulate(numbers.begin(), numbers.end(), 0L,
                                    [](long count, auto x) { return count + is_prime(x); });
    if (const auto lap = serial_watch.read(); lap.seconds < serial.seconds) serial = lap;
    const measurement::stopwatch watch;
    primes = map(numbers);
    if (const auto lap = watch.read(); lap.seconds < parallel.seconds) parallel = lap;
  }
  if (primes != serial_primes) std::abort();
  measurement::report(
      given.mode, implementation, static_cast<double>(numbers.size()), parallel,
      {{"speed_up", serial.seconds / parallel.seconds}, {"primes", static_cast<double>(primes)}});
}

// The pool has just worked: what does the process use in the second after that, in percent of a
// core?
inline void idle_cpu(const measurement::arguments& given, const char* implementation) {
  const timespec settle{0, 200'000'000};  // spinning before sleep is fair; spinning for ever is not
  nanosleep(&settle, nullptr);
  const measurement::stopwatch watch;
  const timespec pause{1, 0};
  nanosleep(&pause, nullptr);
  const measurement::lap idle = watch.read();
  measurement::report(given.mode, implementation, 1, idle,
                      {{"percent", 100 * idle.cpu_seconds / idle.seconds}});
}

}  // namespace workloads

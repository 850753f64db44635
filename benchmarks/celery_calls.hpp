// benchmarks/celery_calls.hpp: the application whose calls celery_bench sends and runs, and its modes
// that use nothing but the public API. Debian's Celery has the same tasks in peers/celery_tasks.py.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <plait/celery.hpp>
#include <string>
#include <vector>

#include "measurement.hpp"

namespace celery_calls {

inline plait::celery::app_options at(const measurement::arguments& given) {
  const std::string where = given.target.empty() ? "127.0.0.1:6379" : given.target;
  const bool is_url = where.starts_with("sqlite:") || where.find("://") != std::string::npos;
  return {.broker = is_url ? where : "redis://" + where + "/15"};
}

inline int add(int x, int y) { return x + y; }

// Writes down that it ran: one whole line, whatever happens to the process afterwards.
inline int note(int n) {
  const int ledger =
      ::open(std::getenv("PLAIT_LEDGER"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  const std::string line = std::to_string(n) + '\n';
  if (ledger < 0 || ::write(ledger, line.data(), line.size()) < 0) std::abort();
  ::close(ledger);
  return n;
}

// What no pool runs: a coroutine on the worker's loop.
inline plait::task<int> add_here(int x, int y) { co_return x + y; }

// n calls from a program that waits for none of them; all are in the queue at the end.
inline void send(const measurement::arguments& given) {
  const long n = given.n_or(50'000);
  const measurement::stopwatch watch;
  {
    plait::celery::app calls(at(given));
    const auto task = calls.task("proj.add", &add, {.ignore_result = true});
    for (long i = 0; i < n; ++i) task.delay(static_cast<int>(i), 3);
  }
  measurement::report(given.mode, "plait", static_cast<double>(n), watch.read());
}

// A worker until it is told to stop: `workers` calls at once.
inline void work(const measurement::arguments& given, plait::celery::pool_kind pool, bool on_loop) {
  plait::celery::app calls(at(given));
  if (on_loop) {
    calls.task("proj.add", &add_here);
  } else {
    calls.task("proj.add", &add);
  }
  calls.task("proj.note", &note);
  plait::celery::worker_options options;
  options.concurrency = static_cast<std::size_t>(given.workers);
  options.pool = pool;
  if (const char* lease = std::getenv("PLAIT_LEASE_MS"))
    options.lease = std::chrono::milliseconds(std::atol(lease));
  options.max_deliveries = 1000;  // the ledger's workers are killed more often than anybody's
  calls.worker(std::move(options)).run();
}

// delay().get(), one after the other.
inline void call(const measurement::arguments& given) {
  const long n = given.n_or(2'000);
  plait::celery::app calls(at(given));
  const auto task = calls.task("proj.add", &add);
  for (int i = 0; i < 50; ++i) task.delay(2, 3).get();
  std::vector<double> microseconds;
  const measurement::stopwatch watch;
  for (long i = 0; i < n; ++i) {
    const double begun = measurement::wall_now();
    task.delay(2, 3).get();
    microseconds.push_back((measurement::wall_now() - begun) * 1e6);
  }
  const auto lap = watch.read();
  std::sort(microseconds.begin(), microseconds.end());
  measurement::report(given.mode, "plait", static_cast<double>(n), lap,
                      {{"p50_us", microseconds[microseconds.size() / 2]},
                       {"p95_us", microseconds[microseconds.size() * 95 / 100]}});
}

}  // namespace celery_calls

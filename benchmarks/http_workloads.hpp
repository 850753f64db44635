// benchmarks/http_workloads.hpp: what every HTTP client, ours or a peer's, fetches and reports.
//
//   threads     n blocking requests of /delay/1 on as many threads as `workers` says
//   delay       n requests of /delay/1 at once, each on a new connection, on one thread
//   keep_alive  n requests of /get over `workers` connections, on one thread
//   tls         the same over TLS, with HTTP/1.1      h2   `workers` at a time on one HTTP/2 connection
//               (the server's certificate is in SSL_CERT_FILE)
#pragma once

#include <thread>
#include <vector>

#include "measurement.hpp"

namespace workloads {

inline constexpr const char* delayed_path = "/delay/1";
inline constexpr const char* small_path = "/get";

inline std::string host_of(const std::string& target) { return target.substr(0, target.find(':')); }
inline std::string port_of(const std::string& target) {
  return target.substr(target.find(':') + 1);
}

struct http_run {
  measurement::arguments given;
  const char* implementation;
  long before_kb = measurement::status_kb("VmHWM");
  measurement::stopwatch watch = {};

  // Fails loudly when a response was not what it should be: a fast error is no result.
  void report(long requests, long good) const {
    const measurement::lap total = watch.read();
    if (good != requests) {
      std::fprintf(stderr, "%s: %ld of %ld responses were good\n", implementation, good, requests);
      std::exit(1);
    }
    const auto n = static_cast<double>(requests);
    const long peak_kb = measurement::status_kb("VmHWM") - before_kb;
    measurement::report(given.mode, implementation, n, total,
                        {{"per_second", n / total.seconds},
                         {"cpu_us", total.cpu_seconds * 1e6 / n},
                         {"kb_each", static_cast<double>(peak_kb) / n}});
  }
};

// fetch(url path) returns 1 for a good response; called once for each request, on `workers`
// threads.
template <class Fetch>
void on_threads(const measurement::arguments& given, const char* implementation, Fetch fetch) {
  const long n = given.n_or(10);
  const http_run run{given, implementation};
  std::vector<long> good(static_cast<std::size_t>(given.workers), 0);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < good.size(); ++t)
    threads.emplace_back([&, t] {
      for (auto i = static_cast<long>(t); i < n; i += given.workers) good[t] += fetch(delayed_path);
    });
  for (auto& thread : threads) thread.join();
  long sum = 0;
  for (const long count : good) sum += count;
  run.report(n, sum);
}

}  // namespace workloads

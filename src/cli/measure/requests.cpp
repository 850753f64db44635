#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/measure/measurements.hpp"
#include "cli/measure/stopwatch.hpp"
#include "plait/coroutines.hpp"
#include "plait/http.hpp"
#include "plait/threads.hpp"

namespace plait::cli {
namespace {

// What became of some requests.
struct tally {
  std::size_t good = 0, failed = 0;
  std::string error;  // of the first that failed

  void add(int status_code) {
    if (status_code == 200) {
      ++good;
    } else {
      add_failure("the server answered with status " + std::to_string(status_code));
    }
  }
  void add_failure(const std::string& why) {
    if (failed++ == 0) error = why;
  }
  nlohmann::json json(const lap& time, const std::string& endpoint) const {
    nlohmann::json result{{"seconds", time.seconds},
                          {"cpu_seconds", time.cpu_seconds},
                          {"starved_seconds", time.starved_seconds},
                          {"count", good + failed},
                          {"failed", failed},
                          {"endpoint", endpoint}};
    if (failed != 0) result["error"] = error;
    return result;
  }
};

// The article's coroutine, which reads the whole page; a failure costs only its own request.
task<> fetch_one(http::client_session& session, const std::string& url, tally& all) {
  try {
    auto response = co_await session.get(url);
    const std::string text = co_await response.text();
    all.add(response.status_code);
  } catch (const error& e) {
    all.add_failure(e.what());
  }
}

task<> fetch_all(std::string url, std::size_t count, tally& all) {
  http::client_session session;
  std::vector<task<>> tasks;
  tasks.reserve(count);
  for (std::size_t i = 0; i < count; ++i) tasks.push_back(fetch_one(session, url, all));
  co_await gather(std::move(tasks));
}

}  // namespace

nlohmann::json measure_one_request(const measurement_options& options) {
  tally all;
  const stopwatch watch;
  try {
    all.add(http::get(options.url).status_code);
  } catch (const error& e) {
    all.add_failure(e.what());
  }
  return all.json(watch.read(), options.url);
}

nlohmann::json measure_requests_sequential(const measurement_options& options) {
  tally all;
  const stopwatch watch;
  for (std::size_t i = 0; i < options.count; ++i) {
    try {
      all.add(http::get(options.url).status_code);
    } catch (const error& e) {
      all.add_failure(e.what());
    }
  }
  return all.json(watch.read(), options.url);
}

nlohmann::json measure_requests_threads(const measurement_options& options) {
  tally all;
  const stopwatch watch;
  {
    thread_pool_executor executor{options.count};
    std::vector<future<http::response>> futures;
    for (std::size_t i = 0; i < options.count; ++i)
      futures.push_back(executor.submit(http::get, options.url));
    for (auto& future : futures) {
      try {
        all.add(future.get().status_code);
      } catch (const error& e) {
        all.add_failure(e.what());
      }
    }
  }
  return all.json(watch.read(), options.url);
}

nlohmann::json measure_requests_coroutines(const measurement_options& options) {
  tally all;
  const stopwatch watch;
  run(fetch_all(options.url, options.count, all));
  return all.json(watch.read(), options.url);
}

}  // namespace plait::cli

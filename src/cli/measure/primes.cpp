#include <algorithm>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "cli/measure/measurements.hpp"
#include "cli/measure/stopwatch.hpp"
#include "plait/processes.hpp"
#include "plait/threads.hpp"

namespace plait::cli {
namespace {

// The article's function and its list, number for number.
bool is_prime(std::int64_t n) {
  if (n < 2) return false;
  const auto last = static_cast<std::int64_t>(std::sqrt(static_cast<double>(n)));
  for (std::int64_t i = 2; i <= last; ++i)
    if (n % i == 0) return false;
  return true;
}

std::vector<std::int64_t> article_numbers(std::size_t copies) {
  std::vector<std::int64_t> numbers;
  for (std::size_t i = 0; i < copies; ++i)
    numbers.insert(numbers.end(), {112272535095293, 112582705942171, 115280095190773,
                                   115797848077099, 1099726899285419, 115280095190773});
  return numbers;
}

// Runs `test_all` as often as asked; the time is that of the best round, as Python's timeit has it:
// what is above it was somebody else's doing.
template <class F>
nlohmann::json best_round(const measurement_options& options, F test_all) {
  const auto numbers = article_numbers(options.count);
  lap best{};
  std::vector<double> rounds;
  std::size_t primes = 0;
  for (std::size_t i = 0; i < std::max<std::size_t>(options.rounds, 1); ++i) {
    const stopwatch watch;
    const std::vector<bool> results = test_all(numbers);
    const lap time = watch.read();
    if (i == 0 || time.seconds < best.seconds) best = time;
    rounds.push_back(time.seconds);
    primes = static_cast<std::size_t>(std::count(results.begin(), results.end(), true));
  }
  return {{"seconds", best.seconds},
          {"cpu_seconds", best.cpu_seconds},
          {"starved_seconds", best.starved_seconds},
          {"count", numbers.size()},
          {"rounds", rounds},
          {"primes", primes}};
}

}  // namespace

nlohmann::json measure_primes_sequential(const measurement_options& options) {
  return best_round(options, [](const auto& numbers) {
    std::vector<bool> results;
    for (const auto n : numbers) results.push_back(is_prime(n));
    return results;
  });
}

nlohmann::json measure_primes_threads(const measurement_options& options) {
  return best_round(options, [](const auto& numbers) {
    thread_pool_executor executor;
    return executor.map(is_prime, numbers).to_vector();
  });
}

nlohmann::json measure_primes_processes(const measurement_options& options) {
  return best_round(options, [](const auto& numbers) {
    process_pool_executor executor;
    return executor.map(is_prime, numbers).to_vector();
  });
}

}  // namespace plait::cli

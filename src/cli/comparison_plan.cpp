#include "cli/comparison_plan.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "cli/child_process.hpp"
#include "cli/python_scripts.hpp"
#include "cli/units.hpp"

namespace plait::cli {
namespace {

// What one measurement is called with, whoever runs it.
struct task_size {
  std::string name;
  std::string label;
  std::size_t count = 0;
  std::size_t python_count = 0;  // 0: the same
  double seconds = 0;
  double expected = 1, python_expected = 1;
  std::size_t rounds = 1;
};

step our_step(const comparison_plan& plan, const task_size& t) {
  return {"plait/" + t.name,
          "plait   " + t.label,
          {own_path(), "measure", t.name, "--url", plan.delay_url(), "--count",
           std::to_string(t.count), "--rounds", std::to_string(t.rounds), "--seconds",
           fmt::format("{}", t.seconds), "--parent", std::to_string(getpid())},
          t.expected,
          20 + 5 * t.expected};
}

step python_step(const comparison_plan& plan, const python_interpreter& python,
                 const task_size& t) {
  const std::size_t count = t.python_count != 0 ? t.python_count : t.count;
  return {"python/" + t.name,
          "Python  " + t.label,
          {python.path, "-c", python_program(), std::to_string(getpid()), t.name, plan.delay_url(),
           std::to_string(count), fmt::format("{}", t.seconds)},
          t.python_expected,
          20 + 5 * t.python_expected};
}

std::vector<task_size> populations(const comparison_plan& p) {
  const double hold = p.hold_seconds;
  const double thousands = static_cast<double>(p.most_threads) / 1000;
  return {
      {"held-threads", grouped(p.most_threads) + " threads at once", p.most_threads,
       p.most_python_threads, 0, 0.06 * thousands, 0.5},
      {"held-coroutines", grouped(p.most_coroutines) + " coroutines at once", p.most_coroutines,
       p.most_python_coroutines, hold, hold + 0.4, hold + 0.8},
      {"held-workers", grouped(p.most_workers) + " worker processes at once", p.most_workers,
       p.most_python_workers, std::max(0.3, hold / 2), 0.2, hold / 2 + 0.4},
      {"switch-threads", "switching threads", p.round_trips, 0, 0, 0.3, 0.8},
      {"switch-coroutines", "switching coroutines", p.round_trips, 0, 0, 0.1, 0.8},
      {"switch-workers", "switching worker processes", p.round_trips, 0, 0, 0.5, 1.2},
  };
}

std::vector<task_size> primes(const comparison_plan& p) {
  const double copies = static_cast<double>(p.prime_copies), rounds = static_cast<double>(p.rounds);
  const auto sized = [&](const char* name, const char* how, double ours, double pythons) {
    return task_size{name,
                     fmt::format("{} primes {}", p.primes(), how),
                     p.prime_copies,
                     0,
                     0,
                     ours * copies * rounds,
                     pythons * copies + 0.2,
                     p.rounds};
  };
  return {sized("primes-sequential", "one after another", 0.12, 2.4),
          sized("primes-threads", "on threads", 0.07, 2.5),
          sized("primes-processes", "on processes", 0.07, 1.4)};
}

}  // namespace

comparison_plan comparison_plan::full() { return {}; }

comparison_plan comparison_plan::quickly() {
  comparison_plan p;
  p.quick = true;
  p.delay = "0.2";
  p.delay_seconds = 0.2;
  p.prime_copies = 1;
  p.most_threads = 2'000;
  p.most_coroutines = 100'000;
  p.most_workers = 16;
  p.most_python_threads = 500;
  p.most_python_coroutines = 10'000;
  p.most_python_workers = 16;
  p.rounds = 3;
  p.hold_seconds = 0.2;
  p.round_trips = 4'000;
  return p;
}

std::vector<phase> phases_of(const comparison_plan& plan, const python_interpreter& python) {
  const double wait = plan.delay_seconds, connections = static_cast<double>(plan.connections);
  const task_size sequential{"requests-sequential",
                             fmt::format("{} requests, one after another", plan.requests),
                             plan.requests,
                             0,
                             0,
                             wait * static_cast<double>(plan.requests),
                             wait * static_cast<double>(plan.requests) + 0.2};
  const task_size threads{"requests-threads",
                          fmt::format("{} requests on {} threads", plan.requests, plan.requests),
                          plan.requests,
                          0,
                          0,
                          wait,
                          wait + 0.2};
  const task_size coroutines{"requests-coroutines",
                             fmt::format("{} requests on one thread", grouped(plan.connections)),
                             plan.connections,
                             0,
                             0,
                             wait + 4e-5 * connections,
                             wait + 0.4 + 6e-4 * connections};
  phase waiting{{our_step(plan, sequential)}};
  lane beside;
  lane alone;
  const auto add = [&](lane& to, const task_size& t, bool with_python) {
    to.push_back(our_step(plan, t));
    if (python.found() && with_python) to.push_back(python_step(plan, python, t));
  };
  if (python.found()) waiting.push_back({python_step(plan, python, sequential)});
  add(beside, threads, true);
  add(beside, coroutines, !python.aiohttp.empty());
  for (const auto& t : populations(plan)) add(beside, t, true);
  for (const auto& t : primes(plan)) alone.push_back(our_step(plan, t));
  if (python.found())
    for (const auto& t : primes(plan)) alone.push_back(python_step(plan, python, t));
  waiting.push_back(std::move(beside));
  return {std::move(waiting), {std::move(alone)}};
}

step first_request(const std::string& url) {
  return {"first",
          "asking the server",
          {own_path(), "measure", "one-request", "--url", url + "/delay/0", "--parent",
           std::to_string(getpid())},
          0.1,
          40};
}

}  // namespace plait::cli

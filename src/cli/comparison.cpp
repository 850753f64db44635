#include "cli/comparison.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "plait/advise/recommend.hpp"

namespace plait::cli {
namespace {

// Below it a CPU waits for most of the time.
constexpr double cpu_bound_share = 0.5;

measured_run read_run(const outcomes& results, const std::string& key) {
  measured_run run;
  const auto found = results.find(key);
  if (found == results.end()) {
    run.why_not = "not run";
    return run;
  }
  const outcome& o = found->second;
  if (!o.ok() || !o.result.contains("seconds")) {
    run.failed = true;
    run.why_not = o.error.empty() ? "gave no time" : o.error;
    return run;
  }
  run.seconds = o.result.value("seconds", 0.0);
  run.cpu_seconds = o.result.value("cpu_seconds", 0.0);
  run.starved_seconds = o.result.value("starved_seconds", 0.0);
  run.count = o.result.value("count", std::size_t{0});
  run.failed_requests = o.result.value("failed", std::size_t{0});
  run.endpoint = o.result.value("endpoint", "");
  run.rounds = o.result.value("rounds", std::vector<double>{});
  run.ran = run.failed_requests == 0;
  if (!run.ran) {
    run.failed = true;
    run.why_not = fmt::format("{} of {} requests failed: {}", grouped(run.failed_requests),
                              grouped(run.count), o.result.value("error", "no reason given"));
  }
  return run;
}

measured_run read_python(const python_interpreter& python, const outcomes& results,
                         const std::string& id) {
  if (python.found() && id == "requests-coroutines" && python.aiohttp.empty()) {
    measured_run run;
    run.why_not = "aiohttp cannot be imported" +
                  (python.why_no_aiohttp.empty() ? "" : " (" + python.why_no_aiohttp + ")");
    return run;
  }
  if (python.found()) return read_run(results, "python/" + id);
  measured_run run;
  run.why_not = python.why_not;
  return run;
}

// What the decision framework makes of calls that were measured, `together` of them under way at once.
decision decide(const measured_run& run, std::size_t together) {
  decision d;
  d.made = run.ran;
  if (!run.ran) return d;
  const double count = double(std::max<std::size_t>(run.count, 1));
  const double each = run.seconds * double(together) / count, cpu = run.cpu_seconds / count;
  // While a CPU is busy, what a call does not compute it waits for a CPU.
  const double wait = run.cpu_share() < cpu_bound_share ? std::max(0.0, each - cpu) : 0;
  const auto span = [](double seconds) { return duration(std::int64_t(1e9 * seconds)); };
  const auto& row =
      framework_row_of({.cpu = span(cpu), .waits = {.network = span(wait)}, .calls = run.count});
  d.io = row.id != framework_row::kind::number_crunching;
  d.model = row.in_native_code == execution_model::event_loop ? "coroutines"
                                                              : to_text(row.in_native_code);
  d.rule = std::string(row.question) + " -> " + row.answer;
  return d;
}

std::string shares(const measured_run& run) {
  if (!run.ran) return "No figure, so no decision";
  return fmt::format("A CPU was busy {:.1f} % of the time{}", 100 * run.cpu_share(),
                     run.cpu_share() < cpu_bound_share ? ", the rest was waiting" : "");
}

// A limit on our own time. Met only says something about the experiment that it was made for.
target_check check_time(const comparison_plan& plan, const measured_run& run, double limit,
                        std::string text) {
  target_check check{std::move(text), "", std::nullopt, ""};
  if (plan.quick) {
    check.why_unchecked = "not checked in a quick run";
  } else if (!plan.own_server) {
    check.why_unchecked = "not checked against another server";
  } else {
    check.met = run.ran && run.seconds <= limit;
  }
  return check;
}

target_check check_connections(const comparison_plan& plan, const measured_run& run) {
  if (plan.connections == 1000) return check_time(plan, run, 1.2, "<= 1.2 s");
  if (plan.connections == 10'000) return check_time(plan, run, 2.0, "<= 2.0 s");
  return {"", "", std::nullopt, "there is a target for -n 1000 and -n 10000"};
}

workload read_few_requests(const comparison_plan& plan, const python_interpreter& python,
                           const outcomes& results) {
  workload w;
  w.id = "requests";
  w.title = fmt::format("{} HTTP requests that wait {} s each", plan.requests, plan.delay);
  const std::string ran = fmt::format("{} x GET /delay/{}", plan.requests, plan.delay);
  for (const char* id : {"requests-sequential", "requests-threads"}) {
    experiment e;
    e.id = id;
    e.ran = ran;
    e.plait = read_run(results, "plait/" + e.id);
    e.python = read_python(python, results, e.id);
    const bool threaded = !w.experiments.empty();
    e.verdict = decide(e.plait, threaded ? plan.requests : 1);
    e.verdict.why = shares(e.plait);
    w.experiments.push_back(std::move(e));
  }
  if (plan.quick)
    for (auto& e : w.experiments) e.article_note = "for 1 s each";
  auto& sequential = w.experiments[0];
  sequential.title = "one after another";
  sequential.article_seconds = 10.0;
  sequential.target = check_time(plan, sequential.plait, 10.5, "about 10 s");
  auto& threads = w.experiments[1];
  threads.title = fmt::format("on {} threads", plan.requests);
  threads.article_seconds = 1.1;
  threads.target = check_time(plan, threads.plait, 1.05, "<= 1.05 s");
  w.verdict = sequential.verdict;
  return w;
}

workload read_many_requests(const comparison_plan& plan, const python_interpreter& python,
                            const outcomes& results) {
  workload w;
  w.id = "connections";
  w.title = fmt::format("{} HTTP requests that wait {} s each, on one thread",
                        grouped(plan.connections), plan.delay);
  experiment e;
  e.id = "requests-coroutines";
  e.title = "coroutines";
  e.ran = fmt::format("{} x GET /delay/{}", grouped(plan.connections), plan.delay);
  e.plait = read_run(results, "plait/" + e.id);
  e.python = read_python(python, results, e.id);
  e.article_seconds = 2.0;
  if (plan.quick || plan.connections != 1000) e.article_note = "for 1,000 of 1 s";
  e.target = check_connections(plan, e.plait);
  e.verdict = decide(e.plait, plan.connections);
  e.verdict.why = shares(e.plait);
  w.verdict = e.verdict;
  w.experiments.push_back(std::move(e));
  return w;
}

target_check check_speed_up(const comparison_plan& plan, const machine_facts& machine,
                            const measured_run& one, const measured_run& many) {
  target_check check{">= 1.9x", "", std::nullopt, ""};
  if (plan.quick) {
    check.why_unchecked = "not checked in a quick run: 6 numbers cannot be halved";
  } else if (machine.cpus < 2) {
    check.why_unchecked = "not checked: it needs 2 CPUs";
  } else {
    check.met = one.ran && many.ran && one.seconds >= 1.9 * many.seconds;
    if (one.ran && many.ran) check.reached = format_ratio(one.seconds / many.seconds);
  }
  return check;
}

workload read_primes(const comparison_plan& plan, const machine_facts& machine,
                     const python_interpreter& python, const outcomes& results) {
  struct description {
    const char *id, *title, *note;
    double article_seconds;
  };
  workload w;
  w.id = "primes";
  w.title = fmt::format("{} numbers of 15 digits, prime or not", plan.primes());
  const auto workers = fmt::format("on {} worker processes", machine.cpus);
  const auto threads = fmt::format("on {} threads", machine.cpus);
  for (const auto& d : {description{"primes-sequential", "one after another", "", 8.0},
                        description{"primes-threads", threads.c_str(), "the GIL", 8.0},
                        description{"primes-processes", workers.c_str(), "4 cores", 2.0}}) {
    experiment e;
    e.id = d.id;
    e.title = d.title;
    e.article_note = d.note;
    if (plan.quick) e.article_note += e.article_note.empty() ? "for 24" : ", for 24";
    e.article_seconds = d.article_seconds;
    e.ran = fmt::format("numbers * {}, best of {} rounds", plan.prime_copies, plan.rounds);
    e.plait = read_run(results, "plait/" + e.id);
    e.python = read_python(python, results, e.id);
    e.verdict = decide(e.plait, w.experiments.empty() ? 1 : machine.cpus);
    e.verdict.why = shares(e.plait);
    w.experiments.push_back(std::move(e));
  }
  for (std::size_t i = 1; i < w.experiments.size(); ++i)
    w.experiments[i].target =
        check_speed_up(plan, machine, w.experiments[0].plait, w.experiments[i].plait);
  w.verdict = w.experiments[0].verdict;
  return w;
}

// Why that model, in one sentence of this machine's own figures.
void argue(std::vector<workload>& all, const outcomes& results) {
  auto& few = all[0];
  few.verdict.why = shares(few.experiments[0].plait);
  if (const auto factor = speed_up(all, "requests-threads", &experiment::plait))
    few.verdict.why += fmt::format(
        "; threads wait side by side: {:.1f} times as fast, in ordinary blocking code", *factor);
  const auto bytes_of = [&](const char* key) -> std::optional<double> {
    const auto found = results.find(key);
    if (found == results.end() || !found->second.ok()) return std::nullopt;
    return found->second.result.value("bytes_each", 0.0);
  };
  auto& many = all[1];
  many.verdict.why = shares(many.experiments[0].plait);
  const auto thread = bytes_of("plait/held-threads"), coroutine = bytes_of("plait/held-coroutines");
  if (many.verdict.made && thread && coroutine && many.verdict.model == "coroutines")
    many.verdict.why +=
        fmt::format("; one thread holds them all: a coroutine takes {}, a thread {}",
                    format_bytes(*coroutine), format_bytes(*thread));
  auto& primes = all[2];
  const auto ours = speed_up(all, "primes-threads", &experiment::plait);
  const auto isolated = speed_up(all, "primes-processes", &experiment::plait);
  primes.verdict.why = shares(primes.experiments[0].plait);
  if (ours && isolated)
    primes.verdict.why += fmt::format(
        "; C++ has no GIL, so threads share the work ({}); processes ({}) when code may crash",
        format_ratio(*ours), format_ratio(*isolated));
  const auto locked = speed_up(all, "primes-threads", &experiment::python);
  if (locked)
    primes.verdict.why +=
        fmt::format("; in Python processes only: its threads gave {}", format_ratio(*locked));
}

}  // namespace

std::vector<workload> read_workloads(const comparison_plan& plan, const machine_facts& machine,
                                     const python_interpreter& python, const outcomes& results) {
  std::vector<workload> all{read_few_requests(plan, python, results),
                            read_many_requests(plan, python, results),
                            read_primes(plan, machine, python, results)};
  argue(all, results);
  return all;
}

std::vector<std::string> read_failures(const std::vector<workload>& workloads,
                                       const outcomes& results) {
  std::vector<std::string> lines;
  for (const auto& w : workloads)
    for (const auto& e : w.experiments)
      if (e.plait.failed) lines.push_back(e.id + ": " + e.plait.why_not);
  for (const auto& [key, o] : results)
    if (!o.ok() && (key.starts_with("plait/held") || key.starts_with("plait/switch")))
      lines.push_back(key.substr(6) + ": " + o.error);
  return lines;
}

const experiment* find_experiment(const std::vector<workload>& workloads, const std::string& id) {
  for (const auto& w : workloads)
    for (const auto& e : w.experiments)
      if (e.id == id) return &e;
  return nullptr;
}

std::optional<double> speed_up(const std::vector<workload>& workloads, const std::string& id,
                               measured_run experiment::*side) {
  for (const auto& w : workloads) {
    const measured_run& first = w.experiments.front().*side;
    for (const auto& e : w.experiments) {
      const measured_run& run = e.*side;
      if (e.id == id && first.ran && run.ran && run.seconds > 0) return first.seconds / run.seconds;
    }
  }
  return std::nullopt;
}

}  // namespace plait::cli

#include "plait/advise/recommend.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <ostream>

#include "plait/threads/cpu_count.hpp"

namespace plait {
namespace {

using model = execution_model;
using kind = framework_row::kind;

// Above the first a call computes rather than waits; between the two it does both.
constexpr double computes = 0.75, does_both = 0.25;
constexpr std::size_t few = 100, at_scale = 1000;
// A thread costs a stack and the kernel's time; a waiting coroutine a few hundred bytes.
constexpr std::size_t most_threads = 256, most_coroutines = 10'000;
// CPUs are not filled to the brim: a queue in front of a full one only grows.
constexpr double full_enough = 0.8;
constexpr double worth_it = 1.1;
constexpr double fairly_sure = 0.8;  // of a predicted gain, at least

constexpr std::array<framework_row, 6> framework{{
    {kind::few_requests, "Making 10-100 HTTP requests?", "Threading", model::threads,
     model::threads, "calls that wait side by side need no more than ordinary blocking code"},
    {kind::many_connections, "Making 1,000+ concurrent connections?", "Asyncio", model::event_loop,
     model::event_loop,
     "one thread holds them all: a waiting coroutine costs a frame, not a stack"},
    {kind::number_crunching, "Processing images, crunching numbers, ML training?",
     "Multiprocessing", model::processes, model::threads,
     "it computes, so it is as fast as the cores that it may use"},
    {kind::scraping, "Web scraping at scale?", "Asyncio + aiohttp", model::event_loop,
     model::event_loop, "many connections in little memory, with a bound that is kept"},
    {kind::background_tasks, "Django/Flask background tasks?",
     "Celery with multiprocessing workers", model::background_tasks, model::background_tasks,
     "work that outlives its request belongs to a queue that outlives the server"},
    {kind::data_pipeline, "Data pipeline with I/O and CPU stages?",
     "Asyncio for I/O, multiprocessing for CPU", model::pipeline, model::pipeline,
     "while some calls wait, others compute: each stage as wide as what it waits for"},
}};

double seconds(duration d) noexcept { return std::chrono::duration<double>(d).count(); }

// What the rows ask of a profile.
struct facts {
  explicit facts(const work_profile& p) noexcept
      : cpu(seconds(p.cpu)),
        wait(seconds(p.waits.outside())),
        share(cpu + wait > 0 ? cpu / (cpu + wait) : 0),
        at_hand(p.at_once != 0 && p.calls != 0 ? std::min(p.at_once, p.calls)
                : p.at_once != 0               ? p.at_once
                : p.calls != 0                 ? p.calls
                                               : few),
        bounded(p.at_once != 0 && p.at_once < p.calls),
        python(p.written_in == work_profile::language::python) {}
  double cpu, wait;
  double share;          // of a call's own time that it computes
  std::size_t at_hand;   // how many could be under way
  bool bounded, python;  // there are more of them than may be
};

kind kind_of(const work_profile& p, const facts& f) noexcept {
  if (p.result_is_wanted == work_profile::lifetime::beyond_the_request)
    return kind::background_tasks;
  if (f.share >= computes) return kind::number_crunching;
  if (f.share >= does_both) return kind::data_pipeline;
  if (f.bounded && p.calls >= at_scale) return kind::scraping;
  return f.at_hand > few ? kind::many_connections : kind::few_requests;
}

// Calls a second with n of them under way, on so many cores.
double throughput(const facts& f, double n, double cores) noexcept {
  if (f.cpu + f.wait <= 0) return n;
  const double by_little = n / (f.cpu + f.wait);
  return f.cpu > 0 ? std::min(by_little, cores / f.cpu) : by_little;
}

std::string text(const char* format, double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, format, value);
  return buffer;
}

std::string factor(double f) { return text(f < 10 ? "%.2g" : "%.0f", f); }

class adviser {
 public:
  explicit adviser(const work_profile& p)
      : p_(p), f_(p), cores_(double(p.cores != 0 ? p.cores : usable_cpu_count())) {}

  recommendation advise() const {
    if (waits_for_itself())
      return keep(
          "the calls wait for one another at a lock: more of them at once would wait longer, "
          "so make what is done under it shorter");
    const bool isolated = p_.calls_are == work_profile::isolation::wanted;
    const framework_row& row = framework[std::size_t(kind_of(p_, f_))];
    recommendation r{isolated    ? model::processes
                     : f_.python ? row.in_python
                                 : row.in_native_code,
                     1,
                     {},
                     isolated ? "a crash costs the call that crashed, and no other" : row.why,
                     isolated && row.in_python != model::processes ? nullptr : &row};
    r.width = width(r.model);
    r.speed_up = gain(r);
    if (r.speed_up.high < worth_it && !isolated && r.model != model::background_tasks)
      return keep(nothing_to_gain());
    r.why = measured() + ": " + r.why;
    return r;
  }

 private:
  bool waits_for_itself() const noexcept {
    const double locks = seconds(p_.waits.locks);
    return locks > f_.cpu && locks > f_.wait;
  }
  // That the model can compute on at once.
  double cores_of(model m) const noexcept {
    const bool one_at_a_time =
        f_.python && (m == model::threads || m == model::event_loop || m == model::keep);
    return one_at_a_time ? 1 : cores_;
  }
  std::size_t width(model m) const noexcept {
    const double cores = cores_of(m);
    // As many as keep the CPUs busy; where a call hardly computes, as many as there are.
    double n = cores;
    if (f_.share < computes && f_.share > 0)
      n = std::ceil((f_.share < does_both ? full_enough : 1.1) * cores / f_.share);
    if (f_.share <= 0) n = double(f_.at_hand);
    const double most = m == model::threads ? double(most_threads) : double(most_coroutines);
    return std::size_t(std::max(1.0, std::min({n, most, double(f_.at_hand)})));
  }
  recommendation::range gain(const recommendation& r) const noexcept {
    const double today =
        throughput(f_, double(std::max<std::size_t>(p_.now.width, 1)), cores_of(p_.now.model));
    const double high = std::max(1.0, throughput(f_, double(r.width), cores_of(r.model)) / today);
    double low = std::max(1.0, fairly_sure * high);
    // What the other end can take is not seen from here: a disk may serve one request at a time.
    if (seconds(p_.waits.disk) > f_.wait / 2) low = 1;
    // A pipeline whose computing stays on one core.
    if (r.model == model::pipeline)
      low = std::clamp(throughput(f_, double(r.width), 1) / today, 1.0, low);
    return {low, high};
  }
  std::string nothing_to_gain() const {
    if (f_.at_hand == 1) return "there is one call at a time, and nothing to do beside it";
    if (f_.share >= does_both)
      return measured() + ", and the cores that it may use are busy already";
    return measured() + ", and as many calls as there are wait side by side already";
  }
  std::string measured() const {
    if (f_.share < 0.01) return "a call computes for less than 1 % of its time";
    return "a call computes for " + text("%.0f", 100 * f_.share) + " % of its time";
  }
  recommendation keep(std::string why) const {
    return {model::keep, std::max<std::size_t>(p_.now.width, 1), {}, std::move(why), nullptr};
  }

  const work_profile& p_;
  const facts f_;
  const double cores_;
};

}  // namespace

const char* to_text(execution_model m) noexcept {
  switch (m) {
    case model::threads:
      return "threads";
    case model::event_loop:
      return "event loop";
    case model::processes:
      return "processes";
    case model::pipeline:
      return "pipeline";
    case model::background_tasks:
      return "background tasks";
    case model::keep:
      break;
  }
  return "keep";
}

std::span<const framework_row> decision_framework() noexcept { return framework; }

const framework_row& framework_row_of(const work_profile& profile) noexcept {
  return framework[std::size_t(kind_of(profile, facts(profile)))];
}

recommendation recommend(const work_profile& profile) { return adviser(profile).advise(); }

std::ostream& operator<<(std::ostream& out, const recommendation& r) {
  out << to_text(r.model);
  if (r.model != execution_model::keep) {
    out << ", " << r.width << " at once";
    if (r.speed_up.high >= worth_it)
      out << ", " << factor(r.speed_up.low) << " to " << factor(r.speed_up.high)
          << " times as fast";
  }
  return out << ": " << r.why;
}

}  // namespace plait

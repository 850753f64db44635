#include "advise/observe/activity_summary.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

namespace plait::detail {
namespace {

bool is_inside(activity what) {  // a wait for another thread or process of the program
  return what == activity::lock || what == activity::interpreter_lock || what == activity::timer ||
         what == activity::peer || what == activity::pipe || what == activity::join;
}

// A thread's clocks at any moment, on a straight line between two readings.
thread_clock clock_at(const observed_thread& thread, double at) {
  const auto& clocks = thread.clocks;
  if (clocks.empty()) return {};
  if (at <= clocks.front().at) return clocks.front();
  for (std::size_t i = 1; i < clocks.size(); ++i) {
    if (at > clocks[i].at) continue;
    const double span = clocks[i].at - clocks[i - 1].at;
    const double part = span > 0 ? (at - clocks[i - 1].at) / span : 1;
    return {static_cast<float>(at), clocks[i - 1].run + part * (clocks[i].run - clocks[i - 1].run),
            clocks[i - 1].queue + part * (clocks[i].queue - clocks[i - 1].queue)};
  }
  return clocks.back();
}

struct thread_part {
  const observed_thread* thread = nullptr;
  double wall = 0, run = 0, queue = 0, stolen = 0;
  by_activity samples{};
  double count = 0;
  double believed = 1;  // of its samples that say "running": how many the clocks agree with
  activity instead = activity::other;  // what the others were
  bool is_parked = false;

  double wanted() const { return run + queue + stolen; }
  double blocked() const { return std::max(0.0, wall - wanted()); }
  double sampled(activity what) const { return of(samples, what); }
  double waits() const { return count - sampled(activity::running); }
  // Seconds blocked for that.
  double seconds(activity what) const {
    if (what == activity::running) return wanted();
    return waits() > 0 ? blocked() * sampled(what) / waits()
                       : (what == activity::other ? blocked() : 0);
  }
  double inside() const {
    double sum = 0;
    for (std::size_t i = 0; i < activity_count; ++i)
      if (is_inside(static_cast<activity>(i))) sum += seconds(static_cast<activity>(i));
    return sum;
  }
};

struct window {
  double from, to;
  std::size_t first_tick, last_tick;  // [first, last)
};

activity sample_at(const observed_thread& thread, std::size_t tick) {
  if (tick < thread.first_tick || tick - thread.first_tick >= thread.samples.size())
    return activity::absent;
  return thread.samples[tick - thread.first_tick];
}

thread_part part_of(const observed_thread& thread, const window& w, double steal_ratio) {
  thread_part part;
  part.thread = &thread;
  if (thread.clocks.empty()) return part;
  const double begin = std::max<double>(w.from, thread.clocks.front().at);
  const double end = std::min<double>(w.to, thread.clocks.back().at);
  if (end > begin) {
    const thread_clock first = clock_at(thread, begin), last = clock_at(thread, end);
    part.wall = end - begin;
    part.run = std::max(0.0, last.run - first.run);
    part.queue = std::max(0.0, last.queue - first.queue);
    const double scale =
        part.run + part.queue > part.wall ? part.wall / (part.run + part.queue) : 1;
    part.run *= scale;
    part.queue *= scale;
  }
  for (std::size_t tick = w.first_tick; tick < w.last_tick; ++tick) {
    const activity what = sample_at(thread, tick);
    if (what == activity::absent) continue;
    of(part.samples, what) += 1;
    part.count += 1;
  }
  const double running = part.sampled(activity::running);
  // What another virtual machine took is in no clock of a thread, but the samples say it ran.
  const double life = thread.clocks.back().at - thread.clocks.front().at;
  if (part.count > 0 && thread.switches < 200 * life) {
    const double missing = running / part.count * part.wall - part.run - part.queue;
    part.stolen = std::clamp(missing, 0.0, 1.3 * steal_ratio * part.run);
  }
  if (running > 0 && part.wall > 0)
    part.believed = std::min(1.0, part.wanted() / part.wall * part.count / running);
  double most = 0;
  for (std::size_t i = 1; i < activity_count; ++i)
    if (part.samples[i] > most) {
      most = part.samples[i];
      part.instead = static_cast<activity>(i);
    }
  // Workers that a runtime keeps: asleep for good, or nearly.
  const double internal = part.waits() > 0 ? part.inside() / std::max(1e-9, part.blocked()) : 0;
  part.is_parked = part.wall > 0 && part.wanted() < 0.03 * part.wall && internal > 0.97 &&
                   part.sampled(activity::lock) + part.sampled(activity::interpreter_lock) == 0;
  return part;
}

void add_roots(const std::vector<thread_part>& parts, const observation& seen, const window& w,
               double foreign, activity_summary& sum) {
  double total = 0, network_ticks = 0, outside_ticks = 0, loop_ticks = 0;
  const bool hidden = seen.unseen_threads_cpu > 0.05 * seen.seconds;
  for (std::size_t tick = w.first_tick; tick < w.last_tick; ++tick) {
    double nobody_runs = 1;
    activity best = activity::absent, running_else = activity::absent;
    for (const auto& part : parts) {
      if (part.is_parked) continue;
      const activity what = sample_at(*part.thread, tick);
      if (what == activity::absent) continue;
      if (what == activity::running) {
        nobody_runs *= 1 - part.believed;
        running_else = std::min(running_else, part.instead);
      } else {
        best = std::min(best, what);
      }
    }
    if (best == activity::absent && nobody_runs == 1) continue;
    // All wait for threads that come and go between two looks.
    if (hidden && nobody_runs == 1 && (best == activity::join || best == activity::peer)) {
      of(sum.root, activity::running) += 1;
      total += 1;
      continue;
    }
    // Time in which it only waited for a CPU that others had is no time of the program, unless another
    // of its threads waited outside meanwhile.
    if (best == activity::network || best == activity::disk) {
      of(sum.root, best) += (1 - nobody_runs) * foreign;
      total += (1 - nobody_runs) * foreign;
    }
    const double running = (1 - nobody_runs) * (1 - foreign);
    of(sum.root, activity::running) += running;
    total += running;
    const activity else_best = nobody_runs < 1 ? std::min(best, running_else) : best;
    if (else_best != activity::absent) {
      of(sum.root, else_best) += nobody_runs;
      total += nobody_runs;
    }
    if (best == activity::network || best == activity::sleep) {
      ++outside_ticks;
      loop_ticks += seen.ticks[tick].in_loop ? 1 : 0;
    }
    if (best == activity::network) {
      ++network_ticks;
      sum.in_flight += seen.ticks[tick].in_flight;
    }
  }
  // Moments in which all wait for one another are those between a wake-up and its effect, unless there
  // is nothing else.
  double between = 0;
  for (std::size_t i = 0; i < activity_count; ++i)
    if (is_inside(static_cast<activity>(i)) && static_cast<activity>(i) != activity::timer)
      between += sum.root[i];
  if (total - between > 0.2 * total) {
    total -= between;
    for (std::size_t i = 0; i < activity_count; ++i)
      if (is_inside(static_cast<activity>(i)) && static_cast<activity>(i) != activity::timer)
        sum.root[i] = 0;
  }
  if (total > 0)
    for (double& share : sum.root) share /= total;
  if (network_ticks > 0) sum.in_flight /= network_ticks;
  sum.has_loop = loop_ticks > 0.5 * outside_ticks;
}

// `work` gives the seconds of it that a thread did.
template <class Work>
crew crew_of(const std::vector<thread_part>& parts, double seconds, Work work) {
  crew found;
  double all = 0, top = 0, unemployed = 0, inside = 0;
  for (const auto& part : parts) {
    all += work(part);
    top = std::max(top, work(part));
  }
  if (all <= 0) return found;
  found.top_share = top / all;
  for (const auto& part : parts) {
    if (part.is_parked || work(part) < 0.05 * all) continue;
    found.members += 1;
    const double inner = part.inside() - part.seconds(activity::pipe);
    found.waiting += inner / seconds;
    inside += inner;
    unemployed += std::max(0.0, part.wall - work(part));
  }
  found.waits_inside = unemployed > 0 ? inside / unemployed : 0;
  return found;
}

const machine_reading& reading_near(const observation& seen, double at) {
  const auto later = std::find_if(seen.machine.begin(), seen.machine.end(),
                                  [&](const auto& reading) { return reading.at >= at - 0.05; });
  return later == seen.machine.end() ? seen.machine.back() : *later;
}

void add_processes(const std::vector<thread_part>& parts, const observation& seen, const window& w,
                   activity_summary& sum) {
  struct of_process {
    double run = 0, wanted = 0, gil = 0;
  };
  std::map<int, of_process> table;
  for (const auto& part : parts) {
    auto& row = table[part.thread->pid];
    row.run += part.run;
    row.wanted += part.wanted();
    row.gil += part.seconds(activity::interpreter_lock);
  }
  double system = 0, user = 0, all = 0, newborn = 0;
  std::map<runtime_kind, double> kinds;
  std::map<int, bool> counted;
  for (const auto& process : seen.processes) {
    system += process.system_seconds;
    user += process.user_seconds;
    if (counted[process.pid]) continue;
    counted[process.pid] = true;
    const auto& row = table[process.pid];
    all += row.run;
    kinds[process.runtime] += row.run;
    if (process.pid != seen.root && process.last_seen - process.first_seen < 0.8 * seen.seconds)
      newborn += row.run;
    if (row.gil > 0.05 * sum.seconds) {
      sum.gil_run += row.wanted / sum.seconds;
      sum.gil_released += std::max(0.0, row.run / sum.seconds - 1);
    }
  }
  newborn += seen.unseen_children_cpu * sum.seconds / std::max(1e-9, seen.seconds);
  all += seen.unseen_children_cpu * sum.seconds / std::max(1e-9, seen.seconds);
  sum.children_share = all > 0 ? newborn / all : 0;
  sum.system_share = user + system > 0.05 ? system / (user + system) : 0;
  double most = 0;
  for (const auto& [kind, run] : kinds)
    if (run > most) most = run, sum.runtime = kind;
  for (const auto& [pid, row] : table)
    if (all > 0 && row.run > 0.1 * all) sum.runtime_processes += 1;
  (void)w;
}

void add_shares(const std::vector<thread_part>& parts, double unseen_cpu, time_by_cause& shares) {
  shares.cpu += unseen_cpu;
  for (const auto& part : parts) {
    shares.cpu += part.run;
    shares.waiting_for_cpu += part.queue + part.stolen;
    if (part.is_parked) {
      shares.parked += part.blocked();
      continue;
    }
    shares.network += part.seconds(activity::network);
    shares.disk += part.seconds(activity::disk);
    shares.locks += part.seconds(activity::lock);
    shares.gil += part.seconds(activity::interpreter_lock);
    shares.sleeping += part.seconds(activity::sleep) + part.seconds(activity::timer);
    shares.children += part.seconds(activity::children) + part.seconds(activity::pipe);
    shares.clients += part.seconds(activity::clients) + part.seconds(activity::terminal);
    shares.threads += part.seconds(activity::peer) + part.seconds(activity::join);
    shares.other += part.seconds(activity::other);
  }
}

}  // namespace

activity_summary summarise(const observation& seen, double from, double to) {
  activity_summary sum;
  sum.seconds = std::max(1e-6, to - from);
  sum.cpus = seen.cpus;
  sum.quota = seen.quota;
  sum.spinning = seen.spinning;
  const auto tick_at = [&](double at) {
    return static_cast<std::size_t>(
        std::lower_bound(seen.ticks.begin(), seen.ticks.end(), at,
                         [](const tick_reading& tick, double moment) { return tick.at < moment; }) -
        seen.ticks.begin());
  };
  const window w{from, to, tick_at(from), tick_at(to + 1e-9)};
  sum.ticks = w.last_tick - w.first_tick;

  double busy = 0;
  if (!seen.machine.empty()) {
    const auto &first = reading_near(seen, from), &last = reading_near(seen, to);
    const double span = std::max(0.02, static_cast<double>(last.at - first.at));
    busy = (last.busy - first.busy) / span;
    sum.steal = (last.stolen - first.stolen) / span;
    sum.throttled = (last.throttled - first.throttled) / span;
  }
  const double steal_ratio = busy > 0.02 ? sum.steal / busy : 0;
  std::vector<thread_part> parts;
  for (const auto& thread : seen.threads) {
    thread_part part = part_of(thread, w, steal_ratio);
    if (part.wall > 0 || part.count > 0) parts.push_back(part);
  }
  // A program of which every thread is parked has none to leave out.
  const bool any_awake =
      std::any_of(parts.begin(), parts.end(), [](const auto& p) { return !p.is_parked; });
  if (!any_awake)
    for (auto& part : parts) part.is_parked = false;

  const double unseen = (seen.unseen_children_cpu + seen.unseen_threads_cpu) * sum.seconds /
                        std::max(1e-9, seen.seconds);
  sum.run = unseen / sum.seconds;
  sum.wanted = unseen / sum.seconds;
  for (const auto& part : parts) {
    sum.run += part.run / sum.seconds;
    sum.wanted += part.wanted() / sum.seconds;
    (part.is_parked ? sum.parked : sum.active) += part.wall / sum.seconds;
    if (part.wall > 0.3 * sum.seconds)
      sum.top_busy = std::max(sum.top_busy, part.wanted() / part.wall);
    for (std::size_t i = 0; i < activity_count && !part.is_parked; ++i)
      sum.threads[i] += part.seconds(static_cast<activity>(i)) / sum.seconds;
  }
  sum.others = std::max(0.0, busy - sum.run);
  // What part of its wish to run other programs denied it: the queue, unless it stood in its own way.
  const double own = std::max(0.0, sum.wanted - sum.cpus);
  const double queue = std::max(0.0, sum.wanted - sum.run);
  const double foreign = sum.wanted > 0 ? std::max(0.0, queue - own) / sum.wanted : 0;
  add_roots(parts, seen, w, foreign, sum);
  sum.burners = crew_of(parts, sum.seconds, [](const thread_part& p) { return p.wanted(); });
  sum.io = crew_of(parts, sum.seconds, [](const thread_part& p) {
    return p.seconds(activity::network) + p.seconds(activity::disk) + p.seconds(activity::sleep);
  });
  add_processes(parts, seen, w, sum);
  add_shares(parts, unseen, sum.shares);
  return sum;
}

}  // namespace plait::detail

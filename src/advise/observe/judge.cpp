#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>

#include "advise/observe/activity_summary.hpp"

namespace plait::detail {
namespace {

std::string percent(double share) {
  char text[16];
  std::snprintf(text, sizeof text, "%.0f %%", 100 * share);
  return text;
}

std::string decimal(double value) {
  char text[32];
  std::snprintf(text, sizeof text, value < 9.95 ? "%.1f" : "%.0f", value);
  return text;
}

bool cannot_share_a_process(const activity_summary& s) {
  return s.runtime == runtime_kind::cpython || s.runtime == runtime_kind::javascript ||
         s.children_share > 0.5;
}

double waits_outside(const activity_summary& s) {
  return of(s.root, activity::network) + of(s.root, activity::disk);
}

// Whether other programs, a machine below this one or a quota are the reason, and not the program.
// `least` is what it has to get of what it wants to be called served.
std::optional<verdict> starved(const activity_summary& s, double least) {
  const double fair = std::min(s.wanted, s.cpus);
  if (s.throttled > 0.1 && s.wanted > 0.5 * s.cpus)
    return verdict{bottleneck::starved,
                   remedy::keep,
                   "a quota of " + decimal(s.quota) + " CPUs holds it back " +
                       percent(s.throttled) + " of the time",
                   std::max(1.0, std::round(s.cpus)),
                   {1, std::max(1.0, s.wanted / s.cpus)}};
  if (fair > 0.3 && s.run < least * fair && s.others + s.steal > 0.4 * s.cpus)
    return verdict{bottleneck::starved,
                   remedy::keep,
                   "others take " + decimal(s.others + s.steal) + " CPUs, and it gets " +
                       decimal(s.run) + " of the " + decimal(fair) + " that it could use",
                   std::max(1.0, std::round(fair)),
                   {1, fair / std::max(0.05, s.run)}};
  return std::nullopt;
}

verdict computes_alone(const activity_summary& s) {
  const double gain = std::max(1.0, s.cpus / std::max(0.2, std::min(s.wanted, s.cpus)));
  verdict v{bottleneck::cpu,
            cannot_share_a_process(s) ? remedy::processes : remedy::threads,
            "",
            std::max(1.0, std::round(s.cpus)),
            {std::max(1.0, 0.8 * gain), gain}};
  if (s.children_share > 0.5)
    v.why = "it computes in one child after another, and uses " + decimal(s.wanted) + " of " +
            decimal(s.cpus) + " CPUs";
  else
    v.why =
        "it computes all the time, on " + decimal(s.wanted) + " of " + decimal(s.cpus) + " CPUs";
  return v;
}

std::optional<verdict> interpreter_lock(const activity_summary& s) {
  const double waiting = of(s.threads, activity::interpreter_lock);
  if (waiting < 0.3 || s.gil_run < 0.5) return std::nullopt;
  if (s.gil_released > 0.5 && s.gil_released > 0.5 * waiting) return std::nullopt;
  if (s.wanted >= 1.7 * s.cpus && s.run > 0.85 * s.cpus) return std::nullopt;
  // One thread of each process; what is more of it stood in a queue.
  const double gain =
      std::max(1.0, s.cpus / std::max(1.0, std::min(s.gil_run, s.runtime_processes)));
  return verdict{bottleneck::gil,
                 remedy::processes,
                 "one thread at a time computes: " + decimal(waiting) + " wait for the GIL",
                 std::max(2.0, std::round(s.cpus)),
                 {std::max(1.0, 0.8 * gain), gain}};
}

std::optional<verdict> contended_lock(const activity_summary& s) {
  const double mutex = of(s.threads, activity::lock);
  const auto found = [&](std::string why, double most) {
    return verdict{bottleneck::lock,
                   remedy::shrink_lock,
                   std::move(why),
                   std::max(1.0, std::round(s.active)),
                   {1, std::max(1.0, most)}};
  };
  const double gain = s.cpus / std::clamp(s.wanted, 0.5, 1.1);  // it is one at a time that computes
  const double outside = of(s.threads, activity::network) + of(s.threads, activity::disk);
  if (mutex >= 0.5 && s.run < 0.8 * s.cpus && s.run > 0.3 && outside < 0.5 * mutex)
    return found(decimal(mutex) + " threads wait for a mutex while " + decimal(s.run) + " compute",
                 gain);
  if (mutex >= 0.3 && s.system_share > 0.4 && s.run > 0.5)
    return found("a mutex changes hands all the time: " + percent(s.system_share) +
                     " of the CPU time goes into waking and waiting",
                 1 / (1 - s.system_share));
  // A lock held while waiting: one thread waits outside, the others for it.
  if (mutex >= 0.8 && s.io.members >= 2 && outside + of(s.threads, activity::sleep) < 1.7 &&
      s.run < 0.5)
    return found(
        decimal(mutex) + " threads wait for a mutex that is held while another waits outside",
        mutex + 1);
  // The same with locks that look like any other wait between threads: those that do the work are
  // those that wait, and one at a time works.
  if (s.burners.members >= 2.5 && s.burners.top_share < 0.75 && s.burners.waits_inside > 0.6 &&
      s.burners.waiting > 0.8 && s.wanted > 0.5 && s.wanted < 1.6 && s.run < 1.15 &&
      s.run < 0.8 * s.cpus && outside < 0.15 && of(s.threads, activity::interpreter_lock) < 0.2)
    return found("the threads that compute take turns: " + decimal(s.burners.waiting) +
                     " of them wait for another",
                 gain);
  // Not where they wait in an event loop: a runtime has whichever of its threads is free do that.
  const bool one_outside = !s.has_loop && outside + of(s.threads, activity::sleep) > 0.5 &&
                           outside + of(s.threads, activity::sleep) < 1.3;
  if (s.io.members >= 2.5 && s.io.top_share < 0.6 && s.io.waits_inside > 0.7 &&
      s.io.waiting > 1.2 && s.in_flight < 1.5 && one_outside && s.run < 0.5)
    return found("the threads that wait outside take turns: " + decimal(s.io.waiting) +
                     " of them wait for another",
                 s.io.members);
  return std::nullopt;
}

verdict waits_for_network(const activity_summary& s) {
  const double under_way = std::max(1.0, std::round(s.in_flight));
  const double room = 0.8 * s.cpus / std::max(0.005, std::min(s.wanted, s.run * 1.5));
  const double factor = std::clamp(room, 1.0, 64.0);
  verdict v{bottleneck::network, remedy::threads, "", under_way * factor, {}};
  if (v.width > 64 || under_way > 40 || (s.has_loop && under_way > 1))
    v.advice = remedy::event_loop;
  v.speedup = {std::max(1.0, 0.25 * factor), factor};
  v.why = "it waits for answers " + percent(of(s.root, activity::network)) + " of the time, with " +
          decimal(under_way) + " under way";
  return v;
}

verdict computes_and_waits(const activity_summary& s) {
  const double gain = s.cpus / std::max(0.1, s.run);
  const bool alone = cannot_share_a_process(s);
  return {bottleneck::mixed,
          remedy::pipeline,
          "it computes " + percent(of(s.root, activity::running)) + " of the time and waits " +
              percent(waits_outside(s)) + ", in turn",
          std::ceil(1.1 * gain * std::max(1.0, s.in_flight)),
          {std::max(1.0, std::min(gain, alone ? 1 / std::max(0.1, s.run) : gain) * 0.8),
           std::max(1.0, gain)}};
}

verdict unsure(std::string why) {
  return {bottleneck::unsure, remedy::none, std::move(why), 1, {}};
}

}  // namespace

verdict judge(const activity_summary& s) {
  const double running = of(s.root, activity::running), disk = of(s.root, activity::disk),
               network = of(s.root, activity::network), clients = of(s.root, activity::clients),
               sleeping = of(s.root, activity::sleep) + of(s.root, activity::timer),
               terminal = of(s.root, activity::terminal);
  if (s.ticks < 8 || s.seconds < 0.08) return unsure("it was seen for too short a time");
  if (s.throttled > 0.1)
    if (const auto quota = starved(s, 0)) return *quota;

  if (const auto gil = interpreter_lock(s)) return *gil;
  if (const auto lock = contended_lock(s)) return *lock;
  if (s.spinning > 0.3 && s.wanted > 1.3 && s.system_share < 0.5)
    return {bottleneck::lock,
            remedy::shrink_lock,
            percent(s.spinning) + " of its computing is spinning around a lock",
            std::max(1.0, std::round(s.active)),
            {1, 1 / std::max(0.1, 1 - s.spinning)}};

  // Much of what a disk takes is the kernel's own computing on the way to it.
  const bool disk_work = disk > 0.1 && s.system_share > 0.6 && network < disk;
  if (disk_work && disk + running > 0.6 && s.wanted < 0.85 * s.cpus + 0.5)
    return {
        bottleneck::disk,
        remedy::deeper_io,
        "it waits for the disk " + percent(disk) + " of the time and computes for it in the kernel",
        16,
        {1, 16}};

  if (s.wanted >= 0.85 * s.cpus && running > 0.6 && s.wanted > 0.7) {
    if (s.wanted >= 1.7 * s.cpus && s.active >= 1.7 * s.cpus) {
      return {bottleneck::oversubscribed,
              remedy::fewer_workers,
              decimal(s.wanted) + " threads want to run on " + decimal(s.cpus) + " CPUs",
              std::max(1.0, std::round(s.cpus)),
              {1, 1.15}};
    }
    // Nothing is wrong with it, but it does not get what it is made for.
    if (const auto hunger = starved(s, 0.42)) return *hunger;
    return {bottleneck::cpu,
            remedy::keep,
            "it computes all the time and has " + decimal(s.wanted) + " threads for " +
                decimal(s.cpus) + " CPUs",
            std::max(1.0, std::round(s.cpus)),
            {1, 1.05}};
  }
  if (running > 0.8) {
    const auto hunger = starved(s, 0.3);
    return hunger ? *hunger : computes_alone(s);
  }
  if (of(s.root, activity::other) > 0.4)
    return unsure("what it waits for " + percent(of(s.root, activity::other)) +
                  " of the time cannot be seen");
  if (disk > 0.45 && disk > network)
    return {bottleneck::disk,
            remedy::deeper_io,
            "it waits for the disk " + percent(disk) + " of the time",
            16,
            {1, 16}};
  if (running > 0.22 && waits_outside(s) > 0.15 && running + waits_outside(s) > 0.7)
    return computes_and_waits(s);
  if (network > 0.55) return waits_for_network(s);
  if (running < 0.1 && clients + terminal > 0.6)
    return {bottleneck::idle, remedy::none, "it waits for somebody to ask", 1, {}};
  if (sleeping > 0.55)
    return {bottleneck::sleep,
            remedy::none,
            "it sleeps " + percent(sleeping) + " of the time, by its own will",
            1,
            {}};
  if (running < 0.05 && waits_outside(s) < 0.1 && sleeping < 0.2)
    return {
        bottleneck::idle, remedy::none, "its threads wait for one another, and none works", 1, {}};
  if (running > 0.6 && sleeping < 0.2) return computes_alone(s);
  return unsure("nothing outweighs the rest: it computes " + percent(running) +
                " of the time, network " + percent(network) + ", disk " + percent(disk) +
                ", sleep " + percent(sleeping) + ", waiting for clients " + percent(clients));
}

}  // namespace plait::detail

#include "plait/advise/diagnosis.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

#include "advise/observe/activity_summary.hpp"

namespace plait {

using namespace detail;

const char* to_text(bottleneck cause) noexcept {
  static constexpr const char* names[] = {"cpu",     "gil",   "lock",  "network",
                                          "disk",    "sleep", "mixed", "oversubscribed",
                                          "starved", "idle",  "unsure"};
  return names[static_cast<std::size_t>(cause)];
}

const char* to_text(remedy advice) noexcept {
  static constexpr const char* names[] = {"threads",   "event-loop",    "processes",
                                          "pipeline",  "fewer-workers", "shrink-lock",
                                          "deeper-io", "keep",          "none"};
  return names[static_cast<std::size_t>(advice)];
}

namespace {

std::string print(const char* format, double a, double b = 0, double c = 0) {
  char text[200];
  std::snprintf(text, sizeof text, format, a, b, c);
  return text;
}

// Whether two parts of a window say the same. How much neighbours took may differ from one to the other.
bool agree(const verdict& a, const verdict& b) {
  const auto kind = [](const verdict& v) {
    return v.cause == bottleneck::starved ? bottleneck::cpu : v.cause;
  };
  return kind(a) == kind(b);
}

void add_evidence(const observation& seen, const activity_summary& all, diagnosis& result) {
  auto& lines = result.evidence;
  std::string line = print("%.2f of %.4g CPUs used, %.2f wanted", all.run, all.cpus, all.wanted);
  line += print("; others use %.2f, other machines take %.2f", all.others, all.steal);
  lines.push_back(line);
  std::string moments = "at any moment:";
  std::vector<std::pair<double, activity>> order;
  for (std::size_t i = 0; i < activity_count; ++i)
    if (all.root[i] >= 0.005) order.emplace_back(all.root[i], static_cast<activity>(i));
  std::sort(order.rbegin(), order.rend());
  for (const auto& [share, what] : order)
    moments += std::string(" ") + to_text(what) + print(" %.0f %%", 100 * share);
  lines.push_back(moments);
  lines.push_back(print("%.1f threads awake, %.1f parked, %.0f processes seen", all.active,
                        all.parked, static_cast<double>(seen.processes.size())));
  if (seen.outbound_connections + seen.inbound_connections + seen.listening_sockets > 0)
    lines.push_back(print("%.0f outbound connections, %.0f inbound, %.0f listening",
                          static_cast<double>(seen.outbound_connections),
                          static_cast<double>(seen.inbound_connections),
                          static_cast<double>(seen.listening_sockets)));
  if (all.in_flight > 0.05)
    lines.push_back(print("%.1f requests under way at a time", all.in_flight));
  std::map<activity, std::size_t> total;
  for (const auto& wait : seen.waits) total[wait.what] += wait.samples;
  std::size_t named = 0;
  for (const auto& wait : seen.waits) {
    const bool telling = wait.what == activity::network || wait.what == activity::disk ||
                         wait.what == activity::lock || wait.what == activity::interpreter_lock;
    if (!telling || named == 3 || wait.samples < 5) continue;
    ++named;
    lines.push_back(std::string(to_text(wait.what)) + ": " + wait.name +
                    print(" in %.0f %% of such waits", 100.0 * static_cast<double>(wait.samples) /
                                                           static_cast<double>(total[wait.what])));
  }
  if (all.system_share > 0.3)
    lines.push_back(print("%.0f %% of its CPU time is the kernel's", 100 * all.system_share));
  if (all.spinning > 0.05)
    lines.push_back(
        print("%.0f %% of sampled instructions lie in a loop around a lock", 100 * all.spinning));
  if (all.throttled > 0.02)
    lines.push_back(
        print("a quota of %.4g CPUs stops it %.0f %% of the time", all.quota, 100 * all.throttled));
  for (const auto& note : seen.notes) lines.push_back(note);
}

}  // namespace

diagnosis diagnose(const observation& seen) {
  diagnosis result;
  const double begin =
      seen.began == observation::beginning::started_for_it ? std::min(0.6, 0.15 * seen.seconds) : 0;
  const activity_summary whole = summarise(seen, 0, seen.seconds);
  const activity_summary settled = begin > 0 ? summarise(seen, begin, seen.seconds) : whole;
  verdict answer = judge(settled);

  // Each quarter on its own: a program that changes while one looks has no single answer. The first may
  // be its start, which is not what it does for a living.
  constexpr int parts = 4;
  std::vector<verdict> quarters;
  for (int i = 0; i < parts; ++i) {
    const double span = (seen.seconds - begin) / parts;
    quarters.push_back(judge(summarise(seen, begin + i * span, begin + (i + 1) * span)));
  }
  // A quarter that is not sure says nothing against the others.
  std::size_t agreeing = 0, against = 0;
  for (const auto& quarter : quarters)
    if (agree(quarter, answer))
      ++agreeing;
    else if (quarter.cause != bottleneck::unsure)
      ++against;
  const bool long_enough = seen.seconds - begin > 1;
  const bool same_since = quarters[1].cause != bottleneck::unsure &&
                          agree(quarters[1], quarters[2]) && agree(quarters[2], quarters[3]);
  if (long_enough && answer.cause != bottleneck::unsure && against > agreeing) {
    if (same_since) {  // only the start was something else
      answer = judge(summarise(seen, begin + 0.25 * (seen.seconds - begin), seen.seconds));
      if (!agree(answer, quarters[2])) answer = quarters[2];
    } else {
      std::string sequence;
      for (const auto& quarter : quarters)
        sequence += std::string(sequence.empty() ? "" : ", ") + to_text(quarter.cause);
      answer = {bottleneck::unsure,
                remedy::none,
                "it changed while it was observed: " + sequence + "; taken together " +
                    to_text(answer.cause),
                1,
                {}};
    }
  } else if (long_enough && agreeing < 3) {
    result.confidence = diagnosis::trust::medium;
  }
  if (answer.cause == bottleneck::unsure) result.confidence = diagnosis::trust::low;
  if (whole.steal > 0.2 * whole.cpus || !long_enough) result.confidence = diagnosis::trust::low;

  result.cause = answer.cause;
  result.advice = answer.advice;
  result.why = answer.why;
  result.width = static_cast<std::size_t>(std::max(1.0, std::round(answer.width)));
  result.speedup = answer.speedup;
  result.cores = whole.run;
  result.wanted = whole.wanted;
  result.shares = whole.shares;
  add_evidence(seen, settled, result);
  return result;
}

}  // namespace plait

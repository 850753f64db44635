#include "cli/advise/advice_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

namespace plait::cli {
namespace {

using json = nlohmann::ordered_json;

std::vector<std::pair<const char*, double>> rows_of(const time_by_cause& t) {
  return {{"cpu", t.cpu},         {"waiting_for_cpu", t.waiting_for_cpu},
          {"network", t.network}, {"disk", t.disk},
          {"lock", t.locks},      {"gil", t.gil},
          {"sleep", t.sleeping},  {"children", t.children},
          {"clients", t.clients}, {"threads", t.threads},
          {"other", t.other},     {"parked", t.parked}};
}

const char* spoken_cause(std::string_view key) {
  constexpr std::array<std::pair<std::string_view, const char*>, 6> names{{
      {"cpu", "on CPU"},
      {"waiting_for_cpu", "waiting for a CPU"},
      {"lock", "locks"},
      {"gil", "GIL"},
      {"children", "child processes"},
      {"threads", "other threads"},
  }};
  for (const auto& [name, words] : names)
    if (name == key) return words;
  return key.data();
}

std::string time_line(const diagnosis& found) {
  auto rows = rows_of(found.shares);
  rows.pop_back();  // the parked ones
  double all = 0;
  for (const auto& row : rows) all += row.second;
  std::stable_sort(rows.begin(), rows.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::string line;
  for (const auto& [key, seconds] : rows)
    if (all > 0 && seconds / all >= 0.005)
      line += fmt::format("{}{} {:.0f} %", line.empty() ? "" : ", ", spoken_cause(key),
                          100 * seconds / all);
  return line.empty() ? "nothing was seen" : line;
}

std::size_t threads_of(const observation& seen) {
  std::size_t most = 0;
  // At once: those that were there at some moment; a dozen moments are enough.
  for (std::size_t i = 0; i < seen.ticks.size();
       i += std::max<std::size_t>(1, seen.ticks.size() / 12)) {
    std::size_t now = 0;
    for (const auto& thread : seen.threads)
      now += i >= thread.first_tick && i - thread.first_tick < thread.samples.size() ? 1 : 0;
    most = std::max(most, now);
  }
  return most;
}

std::string plural(std::size_t count, const char* noun, const char* many) {
  return fmt::format("{} {}", count, count == 1 ? noun : many);
}

double overhead_of(const observation& seen) {
  return seen.seconds > 0 ? seen.own_cpu / seen.seconds : 0;
}

const char* ending_of(const observation& seen) {
  switch (seen.ended) {
    case observation::ending::program_ended:
      return "program ended";
    case observation::ending::stopped:
      return "stopped";
    case observation::ending::time_is_up:
      break;
  }
  return "time is up";
}

}  // namespace

std::string spoken(const diagnosis& found) {
  switch (found.advice) {
    case remedy::threads:
      return found.cause == bottleneck::cpu
                 ? fmt::format("spread the computing over {} threads", found.width)
                 : fmt::format("more at once: about {} threads", found.width);
    case remedy::event_loop:
      return fmt::format("more at once: an event loop with about {} under way", found.width);
    case remedy::processes:
      return fmt::format("{} worker processes", found.width);
    case remedy::pipeline:
      return fmt::format("overlap the two: about {} under way, the computing on workers",
                         found.width);
    case remedy::fewer_workers:
      return fmt::format("fewer workers: {}", found.width);
    case remedy::shrink_lock:
      return "hold the lock for less, split it, or do without";
    case remedy::deeper_io:
      return fmt::format("more requests to the disk at once (try {}), or fewer and larger ones",
                         found.width);
    case remedy::keep:
      return "leave it as it is";
    case remedy::none:
      break;
  }
  return found.cause == bottleneck::unsure ? "nothing, until more is known"
                                           : "nothing of this kind";
}

std::string spoken_speedup(const diagnosis& found) {
  if (found.speedup.high < 1.06) return {};
  if (found.speedup.high - found.speedup.low < 0.1)
    return fmt::format("{:.1f}x", found.speedup.high);
  return fmt::format("{:.1f}x to {:.1f}x", found.speedup.low, found.speedup.high);
}

std::string advice_text(const observation& seen, const diagnosis& found, const terminal& screen) {
  const painter paint(screen);
  std::string text = paint(tone::title, fmt::format("plait advise: {}", seen.command)) +
                     fmt::format("  ({:.1f} s, {}, {})\n", seen.seconds,
                                 plural(seen.processes.size(), "process", "processes"),
                                 plural(threads_of(seen), "thread", "threads"));
  const auto line = [&](const char* label, const std::string& what) {
    text += paint(tone::dim, fmt::format("  {:<10}", label)) + what + "\n";
  };
  line("ANSWER", paint(tone::bold, to_text(found.cause)) + ": " + found.why);
  line("DO", paint(tone::plait, to_text(found.advice)) + ": " + spoken(found));
  const std::string gain = spoken_speedup(found);
  line("EXPECT", gain.empty() ? "no more throughput than today" : gain + " of today's throughput");
  line("TIME", time_line(found));
  bool first = true;
  for (const auto& evidence : found.evidence) {
    line(first ? "EVIDENCE" : "", evidence);
    first = false;
  }
  line("TRUST", fmt::format("{}; {} looks, observing took {:.1f} % of a core",
                            found.confidence == diagnosis::trust::high     ? "high"
                            : found.confidence == diagnosis::trust::medium ? "medium"
                                                                           : "low",
                            seen.ticks.size(), 100 * overhead_of(seen)));
  return text;
}

json advice_json(const observation& seen, const diagnosis& found) {
  json shares = json::object();
  for (const auto& [key, seconds] : rows_of(found.shares)) shares[key] = seconds;
  static constexpr const char* trusts[] = {"low", "medium", "high"};
  return {{"bottleneck", to_text(found.cause)},
          {"advice", to_text(found.advice)},
          {"width", found.width},
          {"speedup", {found.speedup.low, found.speedup.high}},
          {"shares", shares},
          {"cores", found.cores},
          {"evidence", found.evidence},
          {"why", found.why},
          {"trust", trusts[static_cast<std::size_t>(found.confidence)]},
          {"cores_wanted", found.wanted},
          {"cpus", seen.cpus},
          {"command", seen.command},
          {"pid", seen.root},
          {"seconds", seen.seconds},
          {"ended", ending_of(seen)},
          {"processes", seen.processes.size()},
          {"threads", threads_of(seen)},
          {"connections",
           {{"outbound", seen.outbound_connections},
            {"inbound", seen.inbound_connections},
            {"listening", seen.listening_sockets}}},
          {"looks", seen.ticks.size()},
          {"overhead", overhead_of(seen)}};
}

}  // namespace plait::cli

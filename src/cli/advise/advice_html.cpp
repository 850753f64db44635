#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "cli/advise/advice_report.hpp"
#include "cli/html_style.hpp"
#include "cli/html_text.hpp"

namespace plait::cli {
namespace {

constexpr std::size_t columns = 160, most_rows = 48;
constexpr double left_side = 190, width = 972, row_height = 15;

struct paint_of {
  activity what;
  const char* colour;
  const char* words;
};
constexpr std::array<paint_of, 14> paints{
    {{activity::running, "#0a7f8c", "on CPU or waiting for one"},
     {activity::disk, "#8a5a2b", "disk"},
     {activity::network, "#d9a02b", "network"},
     {activity::clients, "#c7d3df", "waiting for clients"},
     {activity::sleep, "#a9b4e8", "sleeping"},
     {activity::terminal, "#c7d3df", "terminal"},
     {activity::lock, "#c2362f", "lock"},
     {activity::interpreter_lock, "#e8607a", "GIL"},
     {activity::timer, "#a9b4e8", "timer"},
     {activity::peer, "#b7bfc9", "other threads"},
     {activity::pipe, "#9fb8a5", "pipe"},
     {activity::children, "#5f8f6c", "child processes"},
     {activity::join, "#b7bfc9", "other threads"},
     {activity::other, "#d8b8d8", "other"}}};

activity sample_at(const observed_thread& thread, std::size_t tick) {
  return tick < thread.first_tick || tick - thread.first_tick >= thread.samples.size()
             ? activity::absent
             : thread.samples[tick - thread.first_tick];
}

// Which column of the picture a look belongs to.
std::vector<std::size_t> columns_of(const observation& seen) {
  std::vector<std::size_t> result;
  for (const auto& tick : seen.ticks)
    result.push_back(
        std::min(columns - 1, static_cast<std::size_t>(static_cast<double>(tick.at) /
                                                       std::max(1e-3, seen.seconds) * columns)));
  return result;
}

using counts = std::array<std::size_t, activity_count>;

activity most_of(const counts& here) {
  const auto top = std::max_element(here.begin(), here.end());
  return *top == 0 ? activity::absent : static_cast<activity>(top - here.begin());
}

std::string strip(const observed_thread& thread, const std::vector<std::size_t>& column_of,
                  double y) {
  std::vector<counts> table(columns);
  for (std::size_t tick = 0; tick < column_of.size(); ++tick) {
    const activity what = sample_at(thread, tick);
    if (what != activity::absent) ++table[column_of[tick]][static_cast<std::size_t>(what)];
  }
  const double step = (width - left_side) / columns;
  std::string svg;
  activity last = activity::absent;
  for (std::size_t i = 0; i < columns;) {
    const bool empty = std::all_of(table[i].begin(), table[i].end(), [](auto n) { return n == 0; });
    // A column without a look goes on as the one before, within a thread's life.
    const activity what = empty ? last : most_of(table[i]);
    std::size_t end = i + 1;
    while (end < columns && most_of(table[end]) == what) ++end;
    if (what != activity::absent)
      svg += fmt::format(
          "<rect x=\"{:.1f}\" y=\"{:.0f}\" width=\"{:.1f}\" height=\"{:.0f}\" fill=\"{}\"/>",
          left_side + step * static_cast<double>(i), y, step * static_cast<double>(end - i) + 0.3,
          row_height - 3, paints[static_cast<std::size_t>(what)].colour);
    last = thread.samples.size() + thread.first_tick >= column_of.size() ? what : activity::absent;
    i = end;
  }
  return svg;
}

double awake(const observed_thread& thread) {
  double sum = 0;
  for (const activity what : thread.samples)
    sum += what == activity::running                             ? 3
           : what < activity::timer && what != activity::clients ? 1
                                                                 : 0;
  return sum;
}

std::string timeline(const observation& seen) {
  std::vector<const observed_thread*> rows;
  for (const auto& thread : seen.threads) rows.push_back(&thread);
  std::stable_sort(rows.begin(), rows.end(),
                   [](const auto* a, const auto* b) { return awake(*a) > awake(*b); });
  const std::size_t left_out = rows.size() > most_rows ? rows.size() - most_rows : 0;
  rows.resize(rows.size() - left_out);
  std::stable_sort(rows.begin(), rows.end(), [](const auto* a, const auto* b) {
    return std::pair(a->pid, a->first_tick) < std::pair(b->pid, b->first_tick);
  });
  const auto column_of = columns_of(seen);
  std::string svg;
  double y = 0;
  for (const auto* thread : rows) {
    svg += fmt::format("<text class=\"soft\" x=\"0\" y=\"{:.0f}\">{}</text>", y + row_height - 4,
                       escaped_html(fmt::format("{} {}", thread->name.substr(0, 15), thread->tid)));
    svg += strip(*thread, column_of, y) + "\n";
    y += row_height;
  }
  for (int i = 0; i <= 5; ++i)
    svg += fmt::format(
        "<text class=\"soft\" x=\"{:.0f}\" y=\"{:.0f}\" text-anchor=\"{}\">{:.1f} s</text>",
        left_side + (width - left_side) * i / 5, y + 16,
        i == 0   ? "start"
        : i == 5 ? "end"
                 : "middle",
        seen.seconds * i / 5);
  std::string note;
  if (left_out > 0)
    note = fmt::format("<p class=\"note\">{} quieter threads are not shown.</p>", left_out);
  return fmt::format(
      "<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"What each thread did "
      "when\">{}</svg>{}",
      width, y + 22, svg, note);
}

// The thread-time as one bar.
std::string stacked_bar(const diagnosis& found) {
  const time_by_cause& t = found.shares;
  const std::array<std::pair<activity, double>, 9> parts{
      {{activity::running, t.cpu + t.waiting_for_cpu},
       {activity::disk, t.disk},
       {activity::network, t.network},
       {activity::clients, t.clients},
       {activity::sleep, t.sleeping},
       {activity::lock, t.locks},
       {activity::interpreter_lock, t.gil},
       {activity::peer, t.threads + t.other},
       {activity::children, t.children}}};
  double all = 0;
  for (const auto& part : parts) all += part.second;
  std::string svg;
  double x = 0;
  for (const auto& [what, seconds] : parts) {
    const double size = all > 0 ? width * seconds / all : 0;
    if (size < 1) continue;
    svg += fmt::format(
        "<rect x=\"{:.1f}\" y=\"0\" width=\"{:.1f}\" height=\"26\" fill=\"{}\"><title>{} {:.1f} "
        "%</title></rect>",
        x, size, paints[static_cast<std::size_t>(what)].colour,
        paints[static_cast<std::size_t>(what)].words, 100 * seconds / all);
    x += size;
  }
  return fmt::format(
      "<svg viewBox=\"0 0 {:.0f} 28\" role=\"img\" aria-label=\"Thread-time by cause\">{}</svg>",
      width, svg);
}

std::string legend() {
  std::string items;
  std::string_view last;
  for (const auto& paint : paints) {
    if (paint.words == last || paint.what == activity::terminal || paint.what == activity::timer ||
        paint.what == activity::join)
      continue;
    last = paint.words;
    items += fmt::format("<li style=\"--tone: {}\">{}</li>", paint.colour, paint.words);
  }
  return "<ul class=\"legend\" style=\"flex-wrap: wrap\">" + items + "</ul>";
}

}  // namespace

std::string advice_html(const observation& seen, const diagnosis& found) {
  std::string evidence;
  for (const auto& line : found.evidence) evidence += "<li>" + escaped_html(line) + "</li>";
  const std::string gain = spoken_speedup(found);
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>plait advise: {0}</title>\n<style>{1}</style></head><body><main>\n"
      "<header><h1>{2}: {3}</h1><p>{0}</p><p>{4:.1f} s observed, {5} processes, {6:.2f} of {7:.4g} "
      "CPUs used</p></header>\n"
      "<section><h2>Answer</h2><div class=\"decision\"><b>{3}</b>: {8}<span>{9}</span></div>"
      "<p class=\"note\">{10}</p></section>\n"
      "<section><h2>Where the thread-time went</h2>{11}{12}</section>\n"
      "<section><h2>What each thread did when</h2><div class=\"scroll\">{13}</div></section>\n"
      "<section><h2>Evidence</h2><ul>{14}</ul></section>\n"
      "<footer>Observing took {15:.1f} % of a core; {16} looks.</footer>\n</main></body></html>\n",
      escaped_html(seen.command), html_style, to_text(found.cause), to_text(found.advice),
      seen.seconds, seen.processes.size(), found.cores, seen.cpus, escaped_html(spoken(found)),
      escaped_html(found.why),
      gain.empty() ? "No more throughput than today is to be expected."
                   : "Expected: " + gain + " of today's throughput.",
      stacked_bar(found), legend(), timeline(seen), evidence,
      seen.seconds > 0 ? 100 * seen.own_cpu / seen.seconds : 0.0, seen.ticks.size());
}

}  // namespace plait::cli

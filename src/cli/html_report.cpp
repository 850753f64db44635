#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "cli/html_style.hpp"
#include "cli/html_text.hpp"
#include "cli/reports.hpp"

namespace plait::cli {
namespace {

// Measured texts are plain ASCII: escaped, and with the signs that a page can show.
std::string html(const std::string& text) {
  return escaped_html(painter(terminal{.unicode = true}).units(text));
}

struct bar_row {
  std::string side;  // "article", "python", "plait": the class that colours it
  std::string label;
  double fraction = 0;
  std::string value, note, note_class = "soft";
};

// Bars below each other; the name of a group stands above its bars.
class bar_chart {
 public:
  bar_chart(double width, double labels) : width_(width), labels_(labels) {}

  void group(const std::string& name) {
    y_ += y_ > 0 ? 12 : 0;
    body_ +=
        fmt::format("<text x=\"0\" y=\"{:.0f}\" class=\"value\">{}</text>\n", y_ + 15, html(name));
    y_ += 24;
  }
  void bar(const bar_row& row) {
    constexpr double text_room = 190, height = 18;
    const double space = width_ - labels_ - text_room;
    body_ += fmt::format("<text x=\"0\" y=\"{:.0f}\" class=\"soft\">{}</text>\n", y_ + 14,
                         html(row.label));
    double end = labels_;
    if (row.fraction > 0) {
      const double length = std::max(2.0, row.fraction * space);
      body_ += fmt::format(
          "<rect x=\"{:.1f}\" y=\"{:.0f}\" width=\"{:.1f}\" height=\"{:.0f}\" rx=\"3\" "
          "class=\"fill-{}\"/>\n",
          labels_, y_, length, height, row.side);
      end += length + 8;
    }
    std::string text = html(row.value);
    if (!row.note.empty())
      text +=
          fmt::format("<tspan dx=\"8\" class=\"{}\">{}</tspan>", row.note_class, html(row.note));
    body_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.0f}\" class=\"value\">{}</text>\n", end,
                         y_ + 14, text);
    y_ += 23;
  }
  std::string svg(const std::string& title) const {
    return fmt::format(
        "<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{}\">\n{}</svg>\n", width_,
        y_ + 2, escaped_html(title), body_);
  }

 private:
  double width_, labels_, y_ = 0;
  std::string body_;
};

bar_row run_row(const char* side, const char* label, const measured_run& r, double longest) {
  bar_row row{side, label, 0, "", "", "soft"};
  if (r.ran) {
    row.fraction = longest > 0 ? r.seconds / longest : 0;
    row.value = format_seconds(r.seconds);
    row.note = std::string(side) == "python" ? r.endpoint : "";
  } else {
    row.note = r.why_not;
    row.note_class = r.failed ? "bad" : "soft";
  }
  return row;
}

std::string workload_section(const workload& w) {
  double longest = 0;
  for (const auto& e : w.experiments)
    for (const double seconds : {e.article_seconds, e.python.seconds, e.plait.seconds})
      longest = std::max(longest, seconds);
  bar_chart chart(940, 76);
  for (const auto& e : w.experiments) {
    chart.group(e.title);
    chart.bar({"article", "article", e.article_seconds / longest, format_seconds(e.article_seconds),
               e.article_note, "soft"});
    chart.bar(run_row("python", "Python", e.python, longest));
    auto ours = run_row("plait", "plait", e.plait, longest);
    if (e.target.met) {
      ours.note = (*e.target.met ? "✓ " : "✗ ") + e.target.sentence();
      ours.note_class = *e.target.met ? "good" : "bad";
    }
    chart.bar(ours);
  }
  const std::string head =
      w.verdict.made
          ? fmt::format("<b>{}: {}.</b> ", w.verdict.io ? "I/O" : "CPU", html(w.verdict.model))
          : "";
  return fmt::format(
      "<section>\n<h2>{}</h2>\n{}<p class=\"decision\">{}{}<span>The article: {}</span></p>\n"
      "</section>\n",
      html(w.title), chart.svg(w.title), head, html(w.verdict.why), html(w.verdict.rule));
}

// One row of the table as bars: on a scale of powers of ten, because the models differ by thousands.
std::string cost_chart(const table_row& row) {
  double least = std::numeric_limits<double>::max(), most = 0;
  for (const auto* side : {&row.python, &row.plait})
    for (const auto& c : *side)
      if (c.value && *c.value > 0) {
        least = std::min(least, *c.value);
        most = std::max(most, *c.value);
      }
  if (most <= 0) return "";
  const double low = std::log10(least) - 0.5, high = std::log10(most);
  bar_chart chart(440, 66);
  for (std::size_t i = 0; i < model_names.size(); ++i) {
    chart.group(model_names[i]);
    const auto add = [&](const char* side, const char* label, const cell& c) {
      const double fraction =
          c.value && *c.value > 0 && high > low ? (std::log10(*c.value) - low) / (high - low) : 0;
      chart.bar({side, label, fraction, c.text, "", "soft"});
    };
    add("python", "Python", row.python[i]);
    add("plait", "plait", row.plait[i]);
  }
  return fmt::format("<div>\n<h3>{}</h3>\n{}</div>\n", html(row.feature), chart.svg(row.feature));
}

std::string costs_section(const comparison& c) {
  std::string charts;
  for (const char* id : {"memory", "held", "start", "switch", "call", "shared_state"}) {
    const auto row =
        std::find_if(c.table.begin(), c.table.end(), [&](auto& r) { return r.id == id; });
    if (row != c.table.end()) charts += cost_chart(*row);
  }
  return "<section>\n<h2>What one costs</h2>\n<p class=\"note\">Each step of a bar's length is a "
         "factor: the scales are "
         "logarithmic.</p>\n<div class=\"grid\">\n" +
         charts + "</div>\n</section>\n";
}

std::string decisions_section(const comparison& c) {
  std::string rows;
  for (const auto& w : c.workloads)
    for (const auto& e : w.experiments) {
      const auto& r = e.plait;
      rows += fmt::format(
          "<tr><td>{}, {}</td><td class=\"number\">{}</td><td class=\"number\">{}</td>"
          "<td class=\"number\">{}</td><td><b>{}</b></td><td><b>{}</b></td></tr>\n",
          html(e.ran), html(e.title), r.ran ? html(format_seconds(r.cpu_seconds)) : "-",
          r.ran ? html(format_seconds(r.seconds)) : "-",
          r.ran ? fmt::format("{:.1f} %", 100 * r.cpu_share()) : "-",
          r.ran ? (e.verdict.io ? "I/O" : "CPU") : "-", r.ran ? html(e.verdict.model) : "-");
    }
  return "<section>\n<h2>Is the bottleneck I/O or CPU?</h2>\n<div "
         "class=\"scroll\"><table>\n<thead><tr><th>experiment</th>"
         "<th>CPU time</th><th>wall "
         "time</th><th>share</th><th>bottleneck</th><th>model</th></tr></thead>\n"
         "<tbody class=\"row\">\n" +
         rows + "</tbody></table></div>\n</section>\n";
}

std::string side_row(const char* side, const char* label, const cells& cells_of_side,
                     const std::string& feature) {
  if (std::all_of(cells_of_side.begin(), cells_of_side.end(),
                  [](const cell& c) { return c.text.empty(); }))
    return "";
  std::string row =
      fmt::format("<tr class=\"{}\"><th class=\"feature\">{}</th><td class=\"who\">{}</td>", side,
                  html(feature), label);
  for (const auto& c : cells_of_side) {
    const std::string note =
        c.note.empty() || c.note == "cap" ? "" : "<small>" + html(c.note) + "</small>";
    row += fmt::format("<td class=\"number\">{}{}</td>", html(c.text), note);
  }
  return row + "</tr>\n";
}

std::string table_section(const comparison& c) {
  std::string rows;
  for (const auto& row : c.table) {
    const std::string article = side_row("article", "article", row.article, row.feature);
    const std::string python =
        side_row("python", "Python", row.python, article.empty() ? row.feature : "");
    const bool named = !article.empty() || !python.empty();
    rows += "<tbody class=\"row\">\n" + article + python +
            side_row("plait", "plait", row.plait, named ? "" : row.feature) + "</tbody>\n";
  }
  return "<section>\n<h2>The comparison table, measured here</h2>\n<div "
         "class=\"scroll\"><table>\n<thead><tr><th></th><th></th>"
         "<th>threads</th><th>coroutines</th><th>processes</th></tr></thead>\n" +
         rows + "</table></div>\n<p class=\"note\">" + html(table_legend) + "</p>\n</section>\n";
}

}  // namespace

std::string html_report(const comparison& c) {
  std::string page =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
      "<title>plait compare</title>\n<style>";
  page += html_style;
  page += "</style>\n</head>\n<body>\n<main>\n<header>\n<h1>plait compare</h1>\n<p>" +
          html(describe_machine(c)) + "</p>\n<p" + (c.plan.quick ? " class=\"quick\"" : "") + ">" +
          html(describe_sizes(c)) +
          "</p>\n"
          "<ul class=\"legend\"><li style=\"--tone:var(--article)\">the article</li>"
          "<li style=\"--tone:var(--python)\">Python</li><li "
          "style=\"--tone:var(--plait)\">plait</li></ul>\n</header>\n";
  for (const auto& w : c.workloads) page += workload_section(w);
  page += decisions_section(c) + costs_section(c) + table_section(c);
  page += "<footer>\n";
  for (const auto& failure : c.failures)
    page += "<p class=\"failed\">Failed: " + html(failure) + "</p>\n";
  page += "<p>" + html(describe_limits(c)) +
          fmt::format(" Took {:.1f} s. plait " PLAIT_VERSION ".</p>\n", c.seconds);
  return page + "</footer>\n</main>\n</body>\n</html>\n";
}

}  // namespace plait::cli

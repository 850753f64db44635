#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "cli/reports.hpp"

namespace plait::cli {
namespace {

std::vector<std::string> wrap(const std::string& text, std::size_t width) {
  std::vector<std::string> lines{""};
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t space = std::min(text.find(' ', at), text.size());
    const std::string word = text.substr(at, space - at);
    if (!lines.back().empty() && width_of(lines.back()) + 1 + width_of(word) > width)
      lines.push_back("");
    lines.back() += (lines.back().empty() ? "" : " ") + word;
    at = space + 1;
  }
  return lines;
}

// Writes one report from top to bottom.
class text_writer {
 public:
  text_writer(const comparison& c, const terminal& screen)
      : c_(c), paint_(screen), columns_(std::clamp<std::size_t>(screen.columns, 72, 116)) {}

  std::string write() {
    heading();
    for (const auto& w : c_.workloads) chart(w);
    decisions();
    table();
    ending();
    return std::move(text_);
  }

 private:
  void line(const std::string& text = "") {
    std::string trimmed = text;
    while (!trimmed.empty() && trimmed.back() == ' ') trimmed.pop_back();
    text_ += trimmed + "\n";
  }
  void title(const std::string& text) {
    line();
    line("  " + paint_(tone::bold, text));
  }
  void paragraph(const std::string& text, std::size_t indent, tone t) {
    for (const auto& part : wrap(paint_.units(text), columns_ - indent))
      line(std::string(indent, ' ') + paint_(t, part));
  }

  void heading() {
    line();
    line("  " + paint_(tone::title, "plait compare") +
         "  threads, coroutines, processes: measured here");
    paragraph(describe_machine(c_), 2, tone::dim);
    paragraph(describe_sizes(c_), 2, c_.plan.quick ? tone::python : tone::dim);
  }

  // Bars of one workload, all on one scale.
  void chart(const workload& w) {
    title(w.title);
    double longest = 0;
    for (const auto& e : w.experiments)
      for (const double seconds : {e.article_seconds, e.plait.seconds, e.python.seconds})
        longest = std::max(longest, seconds);
    for (const auto& e : w.experiments) {
      bar(e.title, "article", tone::article, e.article_seconds, longest, e.article_note);
      run("Python", tone::python, e.python, longest, e.python.endpoint);
      run("plait", tone::plait, e.plait, longest, verdict_on(e.target));
    }
    const std::string head = !w.verdict.made
                                 ? std::string(paint_.either("→", "->"))
                                 : fmt::format("{} {}: {}.", paint_.either("→", "->"),
                                               w.verdict.io ? "I/O" : "CPU", w.verdict.model);
    bool first = true;
    for (const auto& part : wrap(paint_.units(head + " " + w.verdict.why), columns_ - 4)) {
      const std::size_t cut = first ? std::min(head.size(), part.size()) : 0;
      line("    " + paint_(tone::bold, part.substr(0, cut)) + paint_(tone::dim, part.substr(cut)));
      first = false;
    }
  }
  void run(const char* who, tone t, const measured_run& r, double longest,
           const std::string& note) {
    if (r.ran) return bar("", who, t, r.seconds, longest, note);
    const tone why = r.failed ? tone::bad : tone::dim;
    const auto parts = wrap(paint_.units(r.why_not), columns_ - label_width() - 12);
    for (std::size_t i = 0; i < parts.size(); ++i)
      line(std::string(label_width() + 2, ' ') + paint_(t, left(i == 0 ? who : "", 9)) +
           paint_(why, parts[i]));
  }
  void bar(const std::string& label, const char* who, tone t, double seconds, double longest,
           const std::string& note) {
    const std::size_t width = std::clamp<std::size_t>(columns_ - label_width() - 44, 8, 44);
    line("  " + left(label.empty() ? "" : "  " + label, label_width()) + paint_(t, left(who, 9)) +
         paint_.bar(t, longest > 0 ? seconds / longest : 0, width) +
         paint_(t == tone::plait ? tone::bold : tone::plain,
                right(paint_.units(format_seconds(seconds)), 9)) +
         "  " + note_text(note));
  }
  std::string note_text(const std::string& note) const {
    if (note.starts_with("ok "))
      return paint_(tone::good,
                    paint_.units(fmt::format("{} {}", paint_.either("✓", "ok"), note.substr(3))));
    if (note.starts_with("miss "))
      return paint_(tone::bad, paint_.units(fmt::format("{} {}", paint_.either("✗", "MISSED"),
                                                        note.substr(5))));
    return paint_(tone::dim, note);
  }
  static std::string verdict_on(const target_check& target) {
    if (!target.met) return "";
    return (*target.met ? "ok " : "miss ") + target.sentence();
  }
  static std::size_t label_width() { return 24; }

  void decisions() {
    title("Is the bottleneck I/O or CPU? CPU time against wall time, and what follows");
    for (const auto& w : c_.workloads) {
      for (const auto& e : w.experiments) {
        std::string what = fmt::format("{}, {}", short_name(w), e.title);
        if (!e.plait.ran) {
          line("    " + left(what, 36) + paint_(tone::dim, "no figure, so no decision"));
          continue;
        }
        const std::string measured =
            right(fmt::format("{} / {}", format_seconds(e.plait.cpu_seconds),
                              format_seconds(e.plait.seconds)),
                  18);
        line("    " + left(what, 36) + paint_.units(measured) +
             right(fmt::format("{:.1f} %", 100 * e.plait.cpu_share()), 9) + "  " +
             paint_(tone::bold, left(e.verdict.io ? "I/O" : "CPU", 5)) +
             paint_(tone::plait, left(e.verdict.model, 12)));
      }
      line("      " + paint_(tone::dim, paint_.units("the article: " + w.verdict.rule)));
    }
  }
  static std::string short_name(const workload& w) {
    const auto& e = w.experiments.front();
    return fmt::format("{} {}", grouped(e.plait.count), w.id == "primes" ? "primes" : "requests");
  }

  void table() {
    title("The comparison table, measured here");
    const std::size_t feature = 22, side_name = 9;
    const std::size_t width = (columns_ - 2 - feature - side_name) / 3;
    std::string head = "  " + std::string(feature + side_name, ' ');
    for (const char* name : model_names) head += paint_(tone::title, left(name, width));
    line(head);
    for (const auto& row : c_.table) {
      line("  " + paint_(tone::dim, rule(columns_ - 2)));
      std::string name = row.feature;  // stands beside the first side that says anything
      for (const auto& [who, t, side] : {std::tuple{"article", tone::article, &row.article},
                                         std::tuple{"Python", tone::python, &row.python},
                                         std::tuple{"plait", tone::plait, &row.plait}})
        if (table_side(name, who, t, *side, width, feature)) name.clear();
    }
    paragraph(table_legend, 2, tone::dim);
  }
  // False when the side has nothing to say about this feature.
  bool table_side(const std::string& feature, const char* who, tone t, const cells& side,
                  std::size_t width, std::size_t feature_width) {
    const bool empty =
        std::all_of(side.begin(), side.end(), [](const cell& c) { return c.text.empty(); });
    if (empty) return false;
    std::array<std::vector<std::string>, 3> columns;
    std::size_t lines = 1;
    for (std::size_t i = 0; i < side.size(); ++i) {
      std::string text = side[i].text;
      if (!side[i].note.empty() && side[i].note != "cap") text += " (" + side[i].note + ")";
      columns[i] = wrap(paint_.units(text), width - 1);
      lines = std::max(lines, columns[i].size());
    }
    for (std::size_t n = 0; n < lines; ++n) {
      std::string row =
          "  " + left(n == 0 ? feature : "", feature_width) + paint_(t, left(n == 0 ? who : "", 9));
      for (const auto& column : columns) {
        const std::string text = left(n < column.size() ? column[n] : "", width);
        row += t == tone::plait ? paint_(tone::bold, text)
                                : paint_(t == tone::article ? t : tone::plain, text);
      }
      line(row);
    }
    return true;
  }
  std::string rule(std::size_t width) const {
    std::string text;
    for (std::size_t i = 0; i < width; ++i) text += paint_.either("─", "-");
    return text;
  }

  void ending() {
    line();
    paragraph(describe_limits(c_), 2, tone::dim);
    for (const auto& failure : c_.failures) paragraph("FAILED " + failure, 2, tone::bad);
    paragraph(fmt::format("Took {:.1f} s.", c_.seconds), 2, tone::dim);
  }

  const comparison& c_;
  painter paint_;
  std::size_t columns_;
  std::string text_;
};

}  // namespace

std::string text_report(const comparison& c, const terminal& screen) {
  return text_writer(c, screen).write();
}

std::string describe_machine(const comparison& c) {
  std::string text = c.machine.processor.empty() ? "" : c.machine.processor + ", ";
  text += fmt::format("{} CPU{} to use, {}, {}. ", c.machine.cpus, c.machine.cpus == 1 ? "" : "s",
                      format_bytes(static_cast<double>(c.machine.memory_bytes)), c.machine.system);
  text += c.python.found() ? c.python.description() + " (" + c.python.path + ")."
                           : "Python was not run: " + c.python.why_not + ".";
  return text;
}

std::string describe_sizes(const comparison& c) {
  const auto& p = c.plan;
  std::string text = p.own_server ? "Requests go to the embedded server on loopback."
                                  : "Requests go to " + p.url + ".";
  if (p.quick)
    text = fmt::format(
               "Quick run: requests wait {} s instead of 1 s, {} numbers instead of 24, fewer of "
               "everything; nothing is scaled up. ",
               p.delay, p.primes()) +
           text;
  return text;
}

std::string describe_limits(const comparison& c) {
  const auto& d = c.descriptors;
  std::string text = fmt::format("Open files: {}", grouped(d.now));
  text += d.now > d.before ? fmt::format(" (raised from {})", grouped(d.before))
                           : " (ulimit -n, as it was)";
  text += fmt::format("; {} connections needed about {}.", grouped(c.plan.connections),
                      grouped(c.plan.descriptors()));
  return text;
}

}  // namespace plait::cli

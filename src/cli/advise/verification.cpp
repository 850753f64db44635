#include "cli/advise/verification.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace plait::cli {
namespace {

constexpr std::string_view placeholder = "{width}";

double predicted_gain(std::size_t width, const observation& first, const diagnosis& found) {
  const auto many = static_cast<double>(width);
  switch (found.cause) {
    case bottleneck::cpu:
      // Whatever spreads it; a width that the language cannot use is what this would show.
      return std::min(many, first.cpus / std::max(0.05, std::min(found.wanted, first.cpus)));
    case bottleneck::network:
    case bottleneck::mixed:
      return std::min(many, first.cpus / std::max(0.001, found.cores));
    case bottleneck::gil:
    case bottleneck::lock:
    case bottleneck::oversubscribed:
      return 1;
    default:
      return 0;  // how much more a disk, a clock or a neighbour gives cannot be seen from here
  }
}

}  // namespace

bool has_width(const std::vector<std::string>& command) {
  return std::any_of(command.begin(), command.end(),
                     [](const auto& word) { return word.find(placeholder) != word.npos; });
}

std::vector<std::string> at_width(std::vector<std::string> command, std::size_t width) {
  const std::string number = std::to_string(width);
  for (auto& word : command)
    for (std::size_t at; (at = word.find(placeholder)) != word.npos;)
      word.replace(at, placeholder.size(), number);
  return command;
}

std::vector<std::size_t> widths_to_verify(const diagnosis& found) {
  std::vector<std::size_t> widths{2, 4, std::clamp<std::size_t>(found.width, 2, 256)};
  std::sort(widths.begin(), widths.end());
  widths.erase(std::unique(widths.begin(), widths.end()), widths.end());
  return widths;
}

verified_width compare_width(std::size_t width, const observation& first, const diagnosis& found,
                             const observation& again) {
  verified_width result{.width = width, .predicted = predicted_gain(width, first, found)};
  const auto ended = observation::ending::program_ended;
  const auto gain = [&](double before, double now) { return before > 0 ? now / before : 0; };
  if (first.ended == ended && again.ended == ended) {
    result.measured = gain(again.seconds, first.seconds);
    result.measured_by = "time to its end";
  } else if (first.bytes_received > 0) {
    result.measured =
        gain(first.bytes_received / first.seconds, again.bytes_received / again.seconds);
    result.measured_by = "bytes that arrive";
  } else {
    result.measured = gain(found.cores, diagnose(again).cores);
    result.measured_by = "CPU time it gets";
  }
  return result;
}

std::string verification_text(const std::vector<verified_width>& widths) {
  std::string text;
  for (const auto& w : widths) {
    const std::string predicted = w.predicted > 0 ? fmt::format("{:.1f}x", w.predicted) : "?";
    text +=
        fmt::format("  {:<10}width {:>3}: predicted {:>6}, measured {:.1f}x by the {}\n",
                    text.empty() ? "VERIFIED" : "", w.width, predicted, w.measured, w.measured_by);
  }
  return text;
}

nlohmann::ordered_json verification_json(const std::vector<verified_width>& widths) {
  auto rows = nlohmann::ordered_json::array();
  for (const auto& w : widths)
    rows.push_back({{"width", w.width},
                    {"predicted", w.predicted > 0 ? nlohmann::ordered_json(w.predicted) : nullptr},
                    {"measured", w.measured},
                    {"measured_by", w.measured_by}});
  return rows;
}

}  // namespace plait::cli

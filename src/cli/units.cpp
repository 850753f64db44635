#include "cli/units.hpp"

#include <fmt/format.h>

#include <cmath>

namespace plait::cli {
namespace {

// Three significant digits, never in scientific notation.
std::string three_digits(double value) {
  if (value >= 99.95) return fmt::format("{:.0f}", value);
  if (value >= 9.995) return fmt::format("{:.1f}", value);
  return fmt::format("{:.2f}", value);
}

}  // namespace

std::string grouped(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t i = digits.size(); i > 3;) digits.insert(i -= 3, 1, ',');
  return digits;
}

std::string format_seconds(double seconds) {
  if (seconds >= 0.0995) return three_digits(seconds) + " s";
  if (seconds >= 0.9995e-3) return three_digits(seconds * 1e3) + " ms";
  if (seconds >= 0.9995e-6) return three_digits(seconds * 1e6) + " us";
  return three_digits(seconds * 1e9) + " ns";
}

std::string format_bytes(double bytes) {
  if (bytes >= 1023.5 * 1024 * 1024) return three_digits(bytes / (1024.0 * 1024 * 1024)) + " GiB";
  if (bytes >= 1023.5 * 1024) return three_digits(bytes / (1024.0 * 1024)) + " MiB";
  if (bytes >= 999.5) return three_digits(bytes / 1024) + " KiB";
  return fmt::format("{:.0f} bytes", bytes);
}

std::string format_ratio(double ratio) { return fmt::format("{:.2f}x", ratio); }

std::string format(double value, unit u) {
  switch (u) {
    case unit::seconds:
      return format_seconds(value);
    case unit::bytes:
      return format_bytes(value);
    case unit::count:
      return grouped(static_cast<std::uint64_t>(std::llround(value)));
    case unit::ratio:
      return format_ratio(value);
  }
  return "";
}

const char* name_of(unit u) {
  switch (u) {
    case unit::seconds:
      return "seconds";
    case unit::bytes:
      return "bytes";
    case unit::count:
      return "count";
    case unit::ratio:
      return "ratio";
  }
  return "";
}

}  // namespace plait::cli

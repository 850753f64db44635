#include "plait/core/clock.hpp"

#include <cstdio>
#include <cstdlib>

namespace plait {

bool clock::jump_to(time_point) noexcept { return false; }

clock& clock::real() noexcept {
  struct real_clock final : clock {
    time_point now() const noexcept override { return std::chrono::steady_clock::now(); }
  };
  static real_clock instance;
  return instance;
}

time_point detail::add_saturated(time_point from, duration span) noexcept {
  duration::rep sum;
  if (__builtin_add_overflow(from.time_since_epoch().count(), span.count(), &sum))
    return span < duration::zero() ? time_point::min() : time_point::max();
  return time_point(duration(sum));
}

std::string detail::to_text(duration span) {
  if (span == duration::max()) return "for ever";
  const auto ns = static_cast<double>(span.count());
  struct unit {
    double size;
    const char* name;
  };
  char text[32];
  for (const auto& [size, name] : {unit{1e9, "s"}, unit{1e6, "ms"}, unit{1e3, "us"}}) {
    if (std::abs(ns) < size) continue;
    std::snprintf(text, sizeof text, "%.6g %s", ns / size, name);
    return text;
  }
  return std::to_string(span.count()) + " ns";
}

}  // namespace plait

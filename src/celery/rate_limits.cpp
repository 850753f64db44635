#include "celery/rate_limits.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <stdexcept>

namespace plait::celery::detail {

duration time_between(std::string_view rate) {
  if (rate.empty() || rate == "none" || rate == "None") return duration::zero();
  const auto wrong = [&] {
    return std::invalid_argument(
        "a rate limit is a number of calls a second, or one with its "
        "unit, as 10/s, 10/m or 10/h: not '" +
        std::string(rate) + "'");
  };
  double count = 0;
  const auto [rest, failure] = std::from_chars(rate.data(), rate.data() + rate.size(), count);
  if (failure != std::errc() || !std::isfinite(count) || count < 0) throw wrong();
  const std::string_view unit(rest, static_cast<std::size_t>(rate.data() + rate.size() - rest));
  double seconds = 1;
  if (unit == "/m") {
    seconds = 60;
  } else if (unit == "/h") {
    seconds = 3600;
  } else if (!unit.empty() && unit != "/s") {
    throw wrong();
  }
  if (count == 0) return duration::zero();
  constexpr double longest = 365.0 * 24 * 3600;
  return duration(std::llround(1e9 * std::min(longest, seconds / count)));
}

void rate_limits::set(const std::string& task, duration between) {
  if (between <= duration::zero()) {
    limits_.erase(task);
  } else {
    limits_[task].between = between;
  }
}

time_point rate_limits::next_turn(const std::string& task, time_point now) {
  const auto found = limits_.find(task);
  if (found == limits_.end()) return now;
  const time_point turn = std::max(now, found->second.next);
  found->second.next = turn + found->second.between;
  return turn;
}

}  // namespace plait::celery::detail

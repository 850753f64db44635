#include "plait/core/clock.hpp"

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
  if (span > duration::zero() && time_point::max() - from < span) return time_point::max();
  if (span < duration::zero() && from - time_point::min() < -span) return time_point::min();
  return from + span;
}

}  // namespace plait

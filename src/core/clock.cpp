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
  duration::rep sum;
  if (__builtin_add_overflow(from.time_since_epoch().count(), span.count(), &sum))
    return span < duration::zero() ? time_point::min() : time_point::max();
  return time_point(duration(sum));
}

}  // namespace plait

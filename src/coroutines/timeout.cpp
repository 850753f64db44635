#include "plait/coroutines/timeout.hpp"

#include "plait/coroutines/event_loop.hpp"
#include "plait/coroutines/settled.hpp"

namespace plait::detail {

bool bounded_base::caused(const std::exception_ptr& error) const noexcept {
  // A stop from outside wins: then the cancellation is not ours to rename.
  return fired_ && !flow().stopping() && is_cancellation(error);
}

void bounded_base::throw_timeout(duration after) {
  throw timeout_error("timed out after " + to_text(after));
}

void timeout_base::begin(child_base& operand) noexcept {
  start(operand);
  auto& loop = flow().loop();
  arm(loop, add_saturated(loop.clock().now(), span_));
}

std::string timeout_base::waits_for() const {
  const auto left = deadline - flow().loop().clock().now();
  return "what has " + to_text(left) + " left until its timeout of " + to_text(span_);
}

void timeout_base::child_ended(child_base&) noexcept {
  disarm();
  resume_next();
}

void timeout_base::rethrow(std::exception_ptr error) const {
  if (caused(error)) throw_timeout(span_);
  std::rethrow_exception(error);
}

duration time_until(time_point when) {
  const auto now = event_loop::current().clock().now();
  return when > now ? when - now : duration::zero();
}

}  // namespace plait::detail

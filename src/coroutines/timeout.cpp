#include "plait/coroutines/timeout.hpp"

#include <string>

#include "plait/coroutines/event_loop.hpp"
#include "plait/coroutines/gather.hpp"

namespace plait::detail {

bool bounded_base::caused(const std::exception_ptr& error) const noexcept {
  // A stop from outside wins: then the cancellation is not ours to rename.
  if (!fired_ || flow().stopping()) return false;
  try {
    std::rethrow_exception(error);
  } catch (const cancelled_error&) {
    return true;
  } catch (...) {
    return false;
  }
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

void gather_base::failed(std::exception_ptr error) noexcept {
  if (first_error_ == nullptr) {
    first_error_ = std::move(error);
    stop_children();
    return;
  }
  try {
    std::rethrow_exception(error);
  } catch (const cancelled_error&) {  // it ended because we stopped it
  } catch (...) {
    std::string origin;
    try {
      origin = "a gathered task that failed after another one had failed";
    } catch (...) {
    }
    report_unhandled(std::move(error), std::move(origin));
  }
}

std::string gather_base::waits_for() const { return "gather of " + std::to_string(remaining_); }

void gather_base::rethrow_first() {
  check();
  if (first_error_ != nullptr) std::rethrow_exception(first_error_);
}

}  // namespace plait::detail

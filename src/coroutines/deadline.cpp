#include "plait/coroutines/deadline.hpp"

#include <algorithm>
#include <string>

#include "plait/coroutines/event_loop.hpp"

namespace plait {
namespace detail {

time_point from_now(duration span) {
  return add_saturated(event_loop::current().clock().now(), span);
}

void deadline_base::begin(child_base& operand) noexcept {
  began_ = flow().loop().clock().now();
  start(operand);
  if (limited_by != nullptr) limited_by->add(*this);
}

void deadline_base::stop_at(time_point when) noexcept {
  took_ = std::max(when - began_, duration::zero());
  time_is_up();
}

void deadline_base::child_ended(child_base&) noexcept {
  if (limited_by != nullptr) limited_by->remove(*this);
  resume_next();
}

void deadline_base::rethrow(std::exception_ptr error) const {
  if (caused(error)) throw_timeout(took_);
  std::rethrow_exception(error);
}

std::string deadline_base::waits_for() const {
  if (fired()) return "what its deadline has stopped";
  if (limited_by == nullptr || limited_by->expires_at() == deadline::never)
    return "what has no deadline at present";
  const auto left = limited_by->expires_at() - flow().loop().clock().now();
  return "what has " + to_text(left) + " left until its deadline";
}

}  // namespace detail

deadline::~deadline() {
  while (first_ != nullptr) {
    first_->limited_by = nullptr;
    first_ = first_->following;
  }
}

bool deadline::reschedule(time_point when) noexcept {
  if (expired()) return false;
  when_ = when;
  alarm_.disarm();
  arm();
  return true;
}

void deadline::add(detail::deadline_base& bounded) noexcept {
  bounded.following = first_;
  if (first_ != nullptr) first_->previous = &bounded;
  first_ = &bounded;
  if (!alarm_.armed()) arm();
}

void deadline::remove(detail::deadline_base& bounded) noexcept {
  if (bounded.stopped()) --stopped_;
  (bounded.previous != nullptr ? bounded.previous->following : first_) = bounded.following;
  if (bounded.following != nullptr) bounded.following->previous = bounded.previous;
  if (first_ == nullptr) alarm_.disarm();
}

void deadline::arm() noexcept {
  if (first_ != nullptr && when_ != never) alarm_.arm(first_->loop(), when_);
}

void deadline::passed() noexcept {
  for (auto* b = first_; b != nullptr; b = b->following) {
    if (b->stopped()) continue;  // already; this one is for those that came later
    ++stopped_;
    b->stop_at(when_);
  }
}

}  // namespace plait

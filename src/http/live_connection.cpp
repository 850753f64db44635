#include "http/live_connection.hpp"

#include "plait/coroutines/event_loop.hpp"

namespace plait::http {

// The timer stays where it is while the deadline moves away: it looks again when it fires. So a
// busy connection arms it once in idle_timeout instead of twice a request.
void live_connection::enter(phase entered, duration longest) noexcept {
  if (idle_) no_longer_idle();
  if (entered == phase::waiting && (phase_ == phase::answering || phase_ == phase::sending))
    now_idle();
  phase_ = entered;
  if (longest == duration::max()) {
    deadline_ = time_point::max();
    return;
  }
  event_loop& loop = server().loop();
  deadline_ = plait::detail::add_saturated(loop.now(), longest);
  if (armed() && deadline >= deadline_) disarm();
  if (!armed()) arm(loop, deadline_);
}

void live_connection::now_idle() noexcept {
  idle_ = true;
  less_idle_ = nullptr;
  longer_idle_ = all_.last_idle_;
  (longer_idle_ != nullptr ? longer_idle_->less_idle_ : all_.first_idle_) = this;
  all_.last_idle_ = this;
}

void live_connection::no_longer_idle() noexcept {
  idle_ = false;
  (longer_idle_ != nullptr ? longer_idle_->less_idle_ : all_.first_idle_) = less_idle_;
  (less_idle_ != nullptr ? less_idle_->longer_idle_ : all_.last_idle_) = longer_idle_;
}

std::size_t live_connections::make_room(std::size_t most) noexcept {
  std::size_t made = 0;
  for (; made < most && first_idle_ != nullptr; ++made) {
    live_connection& spared = *first_idle_;
    spared.no_longer_idle();
    spared.request_stop();
  }
  return made;
}

void live_connection::expired() noexcept {
  if (deadline_ == time_point::max()) return;  // armed again by the next enter()
  event_loop& loop = server().loop();
  if (loop.now() < deadline_) return arm(loop, deadline_);
  timed_out_ = true;
  request_stop();
}

}  // namespace plait::http

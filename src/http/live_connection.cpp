#include "http/live_connection.hpp"

#include "plait/coroutines/event_loop.hpp"

namespace plait::http {

// The timer stays where it is while the deadline moves away: it looks again when it fires. So a
// busy connection arms it once in idle_timeout instead of twice a request.
void live_connection::enter(phase entered, duration longest) noexcept {
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

void live_connection::expired() noexcept {
  if (deadline_ == time_point::max()) return;  // armed again by the next enter()
  event_loop& loop = server().loop();
  if (loop.now() < deadline_) return arm(loop, deadline_);
  timed_out_ = true;
  request_stop();
}

}  // namespace plait::http

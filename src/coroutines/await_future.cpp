#include "plait/coroutines/await_future.hpp"

#include "plait/coroutines/event_loop.hpp"

namespace plait::detail {

bool future_awaiter_base::begin(state_base& awaited) noexcept {
  awaited_ = &awaited;
  return awaited.completes_here() ? awaited.add_observer_at_home(bridge_)
                                  : awaited.add_observer(bridge_);
}

std::string future_awaiter_base::waits_for() const { return awaited_->describe(); }

void future_awaiter_base::bridge::done(observer* self) noexcept {
  auto& owner = static_cast<bridge*>(self)->owner;
  auto& loop = owner.flow().loop();
  if (loop.is_current()) {
    owner.resume_soon();
  } else {
    loop.deliver(owner.arrival_);
  }
}

}  // namespace plait::detail

#include "plait/coroutines/await_future.hpp"

#include "plait/coroutines/event_loop.hpp"

namespace plait::detail {

bool future_awaiter_base::begin(state_base& awaited) noexcept {
  awaited_ = &awaited;
  if (awaited.completes_here()) return awaited.add_observer_at_home(bridge_);
  elsewhere_ = awaited.is_submitted();  // before it may be done
  flow().queue().elsewhere += elsewhere_;
  if (awaited.add_observer(bridge_)) return true;
  flow().queue().elsewhere -= elsewhere_;
  return false;
}

std::string future_awaiter_base::waits_for() const { return awaited_->describe(); }

void future_awaiter_base::bridge::done(observer* self) noexcept {
  auto& owner = static_cast<bridge*>(self)->owner;
  auto& loop = owner.flow().loop();
  if (loop.is_current()) {
    owner.arrived();
  } else {
    loop.deliver(owner.arrival_);
  }
}

}  // namespace plait::detail

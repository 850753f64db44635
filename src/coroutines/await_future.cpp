#include "plait/coroutines/await_future.hpp"

#include "plait/coroutines/event_loop.hpp"

namespace plait::detail {

// What awaits it here is not its home, which may even be gone, if it is done.
bool future_awaiter_base::begin_elsewhere() noexcept {
  const bool counts = awaited_->is_submitted();
  elsewhere_ = counts;  // before it may be done
  flow().queue().elsewhere += counts;
  if (awaited_->add_observer(*this)) return true;
  flow().queue().elsewhere -= counts;
  elsewhere_ = false;
  return false;
}

std::string future_awaiter_base::waits_for() const { return awaited_->describe(); }

void future_awaiter_base::done(observer* self) noexcept {
  auto& awaiter = *static_cast<future_awaiter_base*>(self);
  auto& loop = awaiter.flow().loop();
  if (loop.is_current()) {
    awaiter.resume_soon();
  } else {
    awaiter.post_to(loop);
  }
}

}  // namespace plait::detail

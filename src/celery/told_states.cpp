#include "celery/told_states.hpp"

#include <iostream>
#include <utility>

namespace plait::celery::detail {

void told_states::tell(stored_result state) {
  if (is_closed_) return;
  next_ = std::move(state);
  if (!storing_.valid() || storing_.done()) storing_ = spawn(store(shared_from_this()));
}

task<> told_states::store(std::shared_ptr<told_states> self) {
  while (self->next_) {
    stored_result now = *std::exchange(self->next_, std::nullopt);
    try {
      co_await self->results_.store(std::move(now));
    } catch (const error& e) {
      std::cerr << "plait worker: a state that a call told was not stored: " << e.what() << '\n';
    }
  }
}

task<> told_states::close() {
  is_closed_ = true;
  next_.reset();
  if (storing_.valid()) co_await storing_;
}

}  // namespace plait::celery::detail

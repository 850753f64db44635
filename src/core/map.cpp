#include "plait/core/map.hpp"

#include <algorithm>

namespace plait::detail {

map_window::map_window(std::size_t capacity, const map_options& options)
    : slots_(std::max<std::size_t>(1, capacity)),
      deadline_(options.timeout == duration::max()
                    ? time_point::max()
                    : add_saturated(std::chrono::steady_clock::now(), options.timeout)) {
  if (options.order == map_options::result_order::completion)
    by_completion_.emplace(std::vector<any_future>());
}

map_window::~map_window() {
  if (by_completion_) by_completion_->cancel();
  // The newest first: a worker that an older call leaves must not begin the next.
  while (!by_completion_ && count_ > 0) slots_[(head_ + --count_) % slots_.size()].cancel();
}

void map_window::push(any_future f) {
  if (by_completion_) {
    by_completion_->add(std::move(f));
  } else {
    slots_[(head_ + count_) % slots_.size()] = std::move(f);
  }
  ++count_;
}

any_future map_window::pop_front() noexcept {
  any_future f = std::move(slots_[head_]);
  head_ = (head_ + 1) % slots_.size();
  --count_;
  return f;
}

any_future map_window::pop() {
  if (by_completion_) {
    const std::size_t position = by_completion_->next(deadline_);
    if (position == completions::none) throw_unfinished(count_);
    --count_;
    return by_completion_->take(position);
  }
  if (deadline_ == time_point::max()) {
    slots_[head_].wait();
  } else if (!slots_[head_].wait_until(deadline_)) {
    throw_unfinished(count_);
  }
  return pop_front();
}

}  // namespace plait::detail

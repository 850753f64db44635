#include "plait/coroutines/context.hpp"

namespace plait::detail {

void context::request_stop() noexcept {
  if (std::exchange(stopping_, true)) return;
  if (source_ != nullptr) source_->request_stop();
  if (waiting_ != nullptr) waiting_->stop();
}

std::stop_token context::stop_token() {
  if (source_ == nullptr) {
    source_ = new std::stop_source;
    if (stopping_) source_->request_stop();
  }
  return source_->get_token();
}

void waiter::throw_cancelled() { throw cancelled_error(); }

}  // namespace plait::detail

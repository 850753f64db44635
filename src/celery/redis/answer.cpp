#include <exception>

#include "celery/redis/core.hpp"

namespace plait::celery::redis {

std::vector<value> answer::await_resume() {
  if (pending_ != nullptr) leave();
  check();
  if (failure_ != nullptr) std::rethrow_exception(failure_);
  if (!late_.empty()) {
    const std::string within = " within " + plait::detail::to_text(timeout_);
    if (!was_sent_) throw unavailable("no connection to Redis" + within + " for " + late_);
    throw timeout_error("Redis has not answered " + late_ + within);
  }
  return std::move(answers_);
}

void answer::complete() noexcept {
  pending_ = nullptr;
  disarm();
  resume_soon();
}

void answer::fail(std::exception_ptr why) noexcept {
  failure_ = std::move(why);
  complete();
}

void answer::stop() noexcept {
  leave();
  disarm();
  give_up();
}

void answer::expired() noexcept {
  late_ = pending_->name;
  was_sent_ = pending_->is_sent;
  leave();
  resume_soon();
}

// Whoever holds the command's place in line need not tell anybody.
void answer::leave() noexcept {
  if (pending_ == nullptr) return;
  pending_->who = nullptr;
  pending_->is_wanted = false;
  pending_ = nullptr;
}

}  // namespace plait::celery::redis

#include "plait/net/serve.hpp"

#include "plait/coroutines/event_loop.hpp"
#include "plait/net/errors.hpp"

namespace plait::net::detail {
namespace {

// True for the ways in which a connection may end that are nobody's fault here.
bool is_ordinary(const std::exception_ptr& error) noexcept {
  try {
    std::rethrow_exception(error);
  } catch (const cancelled_error&) {
    return true;
  } catch (const connection_closed&) {
    return true;
  } catch (...) {
    return false;
  }
}

}  // namespace

served_connection::served_connection(serving& by, semaphore::permit place) noexcept
    : child_base(by, by.parent()), server_(by), place_(std::move(place)) {}

void served_connection::start(task<> conversation) noexcept {
  conversation_.emplace(std::move(conversation));
  server_.link(*this);
  child_base::start();
}

void serving::report(std::exception_ptr error) const noexcept {
  if (!is_ordinary(error)) plait::detail::report_unhandled(std::move(error), what_);
}

void serving::link(served_connection& added) noexcept {
  added.next_served_ = first_;
  if (first_ != nullptr) first_->previous_ = &added;
  first_ = &added;
  ++size_;
}

void serving::unlink(served_connection& ended) noexcept {
  auto *before = ended.previous_, *after = ended.next_served_;
  (before != nullptr ? before->next_served_ : first_) = after;
  if (after != nullptr) after->previous_ = before;
  --size_;
}

void serving::child_ended(plait::detail::child_base& ended) noexcept {
  if (&ended == &*accepting_) {
    begin_draining();
  } else {
    auto& connection = static_cast<served_connection&>(ended);
    unlink(connection);
    auto error = std::move(connection.conversation_->frame().promise().error());
    delete &connection;
    if (error != nullptr) report(std::move(error));
  }
  if (draining_ && size_ == 0) {
    disarm();
    resume_soon();
  }
}

void serving::begin_draining() noexcept {
  draining_ = true;
  for (auto* c = first_; c != nullptr; c = c->next_served_) c->begin_draining();
  if (options_.grace > duration::zero()) {
    if (size_ != 0) arm(loop_, plait::detail::add_saturated(loop_.now(), options_.grace));
  } else {
    expired();
  }
}

void serving::expired() noexcept {
  for (auto* c = first_; c != nullptr; c = c->next_served_) c->request_stop();
}

void serving::stop() noexcept {
  give_up_later();
  if (!accepting_->ended()) accepting_->request_stop();
}

std::string serving::waits_for() const {
  return std::to_string(size_) + (size_ == 1 ? " connection" : " connections") +
         (draining_ ? " to end" : " and more to come");
}

void serving::visit_children(plait::detail::flow_visitor& visitor) const {
  if (!accepting_->ended()) visitor.visit(accepting_->flow());
  for (const auto* c = first_; c != nullptr; c = c->next_served_) visitor.visit(c->flow());
}

}  // namespace plait::net::detail

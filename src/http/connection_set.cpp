#include "http/connection_set.hpp"

#include <exception>

namespace plait::http {

live_connection::live_connection(connection_set& set, plait::detail::context& parent) noexcept
    : child_base(set, parent), set_(set) {}

void live_connection::start(task<> conversation) noexcept {
  conversation_.emplace(std::move(conversation));
  set_.link(*this);
  child_base::start();
}

// The timer stays where it is while the deadline moves away: it looks again when it fires. So a
// busy connection arms it once in idle_timeout instead of twice a request.
void live_connection::enter(phase entered, duration longest) noexcept {
  phase_ = entered;
  if (longest == duration::max()) {
    deadline_ = time_point::max();
    return;
  }
  deadline_ = plait::detail::add_saturated(set_.loop().now(), longest);
  if (armed() && deadline >= deadline_) disarm();
  if (!armed()) arm(set_.loop(), deadline_);
}

void live_connection::expired() noexcept {
  if (deadline_ == time_point::max()) return;  // armed again by the next enter()
  if (set_.loop().now() < deadline_) return arm(set_.loop(), deadline_);
  timed_out_ = true;
  request_stop();
}

void connection_set::link(live_connection& added) noexcept {
  added.next_live_ = first_;
  if (first_ != nullptr) first_->previous_ = &added;
  first_ = &added;
  ++size_;
}

void connection_set::child_ended(plait::detail::child_base& ended) noexcept {
  auto& connection = static_cast<live_connection&>(ended);
  (connection.previous_ != nullptr ? connection.previous_->next_live_ : first_) =
      connection.next_live_;
  if (connection.next_live_ != nullptr) connection.next_live_->previous_ = connection.previous_;
  --size_;
  auto error = std::move(connection.conversation_->frame().promise().error());
  delete &connection;
  if (error != nullptr) plait::detail::report_unhandled(std::move(error), "an HTTP connection");
  if (below_ != 0 && size_ < below_) {
    below_ = 0;
    resume_soon();
  }
}

void connection_set::stop() noexcept {
  if (draining_) return;  // already ending: stays until the last one has gone
  below_ = 0;
  give_up();
}

std::string connection_set::waits_for() const {
  return std::to_string(size_) + " connections to be fewer";
}

void connection_set::visit_children(plait::detail::flow_visitor& visitor) const {
  for (const live_connection* c = first_; c != nullptr; c = c->next_live_) visitor.visit(c->flow());
}

void connection_set::begin_draining(duration longest) noexcept {
  draining_ = true;
  for (live_connection* c = first_; c != nullptr; c = c->next_live_)
    if (c->now_in() == live_connection::phase::waiting) c->request_stop();
  arm(loop_, plait::detail::add_saturated(loop_.now(), longest));
}

void connection_set::expired() noexcept { stop_all(); }

void connection_set::stop_all() noexcept {
  for (live_connection* c = first_; c != nullptr; c = c->next_live_) c->request_stop();
}

}  // namespace plait::http

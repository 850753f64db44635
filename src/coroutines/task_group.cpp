#include "plait/coroutines/task_group.hpp"
#include "plait/coroutines/settled.hpp"

#include <algorithm>
#include <iterator>
#include <string>

namespace plait::detail {

group_child::group_child(group_core& group, const void* where) noexcept
    : task_node(group.parent().queue(), &group.parent(), where), group_(group) {}

void group_child::unlink() noexcept { group_.remove(*this); }

void group_child::end_listener::ended(task_end how, std::exception_ptr error) const noexcept {
  group.ended(how, std::move(error));
}

void group_core::check_open() const {
  if (running_ == 0) throw invalid_state("the task group has ended");
}

// At the end of the list: stops then go out in the order in which the children came, which is how
// they stand in the queues of what they wait for.
void group_core::add(group_child& child) noexcept {
  child.previous_in_group = newest_;
  (newest_ != nullptr ? newest_->next_in_group : oldest_) = &child;
  newest_ = &child;
  ++running_;
  if (stopping_) child.flow().request_stop();
  flow().queue().ready.push(child);
}

void group_core::remove(group_child& child) noexcept {
  auto *before = child.previous_in_group, *after = child.next_in_group;
  (before != nullptr ? before->next_in_group : oldest_) = after;
  (after != nullptr ? after->previous_in_group : newest_) = before;
}

void group_core::begin_body(child_base& body) noexcept {
  body_ = &body;
  running_ = 1;
  body.start();
}

// Whoever awaits a child's future throws the child's exception once more: that is one failure, not
// two. Looks at the first hundred, so that very many failures are not compared each with each.
void group_core::note_failure(std::exception_ptr error) noexcept {
  const auto end = failures_.begin() + std::min<std::ptrdiff_t>(std::ssize(failures_), 100);
  if (std::find(failures_.begin(), end, error) != end) return;
  try {
    failures_.push_back(error);
  } catch (...) {  // no memory to keep it
    report_unhandled(std::move(error), {});
  }
}

void group_core::ended(task_end how, std::exception_ptr error) noexcept {
  if (how == task_end::failed) {
    note_failure(std::move(error));
    stop_all();
  } else if (how == task_end::cancelled && flow().stopping()) {
    cut_short_ = true;
  }
  if (--running_ == 0) resume_soon();
}

void group_core::child_ended(child_base&) noexcept {
  body_ended_ = true;
  auto error = body_error();
  auto how = task_end::value;
  if (error != nullptr) {
    how = is_cancellation(error) ? task_end::cancelled : task_end::failed;
    stop_all();
  }
  ended(how, std::move(error));
}

void group_core::stop_all() noexcept {
  if (std::exchange(stopping_, true)) return;
  if (!body_ended_) body_->request_stop();
  for (auto* c = oldest_; c != nullptr; c = c->next_in_group) c->flow().request_stop();
}

void group_core::stop() noexcept { stop_all(); }

void group_core::cancel() noexcept {
  if (running_ == 0) return;
  cancelled_ = true;
  stop_all();
}

bool group_core::finish() {
  check();
  if (!failures_.empty()) throw exception_group("task group", std::move(failures_));
  if (body_error() == nullptr) {
    if (cut_short_) throw cancelled_error();
    return true;
  }
  return !cancelled_ || flow().stopping();  // the body's cancelled_error, unless cancel() caused it
}

std::string group_core::waits_for() const {
  return "task group of " + std::to_string(size()) + (body_ended_ ? "" : " and its body");
}

void group_core::visit_children(flow_visitor& visitor) const {
  if (!body_ended_) visitor.visit(body_->flow());
  for (auto* c = oldest_; c != nullptr; c = c->next_in_group) visitor.visit(c->flow());
}

}  // namespace plait::detail

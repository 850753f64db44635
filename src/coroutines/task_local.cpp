#include "plait/coroutines/task_local.hpp"

#include "coroutines/task_locals.hpp"
#include "plait/coroutines/current_task.hpp"

namespace plait {
namespace detail {
namespace {

context& running_or_throw() {
  context* flow = context::running();
  if (flow == nullptr) throw invalid_state("no task is running on this thread");
  return *flow;
}

}  // namespace

const task_locals* task_locals::with(const task_locals* before, const entry& next) {
  auto* made = new task_locals;
  try {
    made->entries_.reserve(1 + (before != nullptr ? before->entries_.size() : 0));
  } catch (...) {
    made->release();
    throw;
  }
  made->entries_.push_back(next);
  if (before != nullptr) {
    for (const entry& e : before->entries_) {
      if (e.variable == next.variable) continue;
      e.value->add_ref();
      made->entries_.push_back(e);
    }
  }
  return made;
}

const task_local_value* task_locals::find(const task_local_base& variable) const noexcept {
  for (const entry& e : entries_)
    if (e.variable == &variable) return e.value;
  return nullptr;
}

task_locals::~task_locals() {
  for (const entry& e : entries_) e.value->release();
}

const task_local_value* task_local_base::find() const noexcept {
  const context* flow = context::running();
  const task_locals* seen = flow != nullptr ? flow->locals() : nullptr;
  return seen != nullptr ? seen->find(*this) : nullptr;
}

task_local_scope::task_local_scope(const task_local_base& variable, const task_local_value* value)
    : flow_([value]() -> context& {
        context* flow = context::running();
        if (flow == nullptr) value->release();
        return flow != nullptr ? *flow : running_or_throw();
      }()),
      before_(flow_.locals()) {
  const task_locals* next;
  try {
    next = task_locals::with(before_, {&variable, value});
  } catch (...) {
    value->release();
    throw;
  }
  if (before_ != nullptr) before_->add_ref();
  flow_.set_locals(next);
}

task_local_scope::~task_local_scope() { flow_.set_locals(before_); }

}  // namespace detail

current_task::current_task() : flow_(detail::running_or_throw()) {}

std::string current_task::spawned_at() const { return detail::describe_address(flow_.where()); }

}  // namespace plait

// plait/coroutines/child.hpp: a task started beside others, as part of a flow that waits for it.
#pragma once

#include <cstddef>
#include <exception>
#include <new>
#include <utility>
#include <vector>

#include "plait/coroutines/context.hpp"
#include "plait/coroutines/task.hpp"

namespace plait::detail {

class child_base;

// The flow that waits for children. It ends its wait when the last of them has ended.
class child_owner : public waiter {
 public:
  // `child` has ended; on the loop.
  virtual void child_ended(child_base& child) noexcept = 0;

 protected:
  ~child_owner() = default;
};

// One child: its own context, so that it can be stopped apart from its parent.
class child_base : public completion {
 public:
  child_base(const child_base&) = delete;
  child_base& operator=(const child_base&) = delete;

  // Once: lets the loop begin the child after what is ready now.
  void start() noexcept { flow_.queue().ready.push(*this); }
  void request_stop() noexcept { flow_.request_stop(); }
  bool ended() const noexcept { return ended_; }
  context& flow() noexcept { return flow_; }
  const context& flow() const noexcept { return flow_; }

 protected:
  child_base(child_owner& owner, context& parent) noexcept
      : flow_(parent.queue(), &parent), owner_(owner) {
    flow_.inherit_locals(&parent);
  }
  ~child_base() = default;
  void begin(std::coroutine_handle<> frame, task_promise_base& promise) noexcept {
    promise.flow = &flow_;
    promise.continue_with(*this);
    waiter::run_frames(flow_, frame);
  }

 private:
  void drop() noexcept final {}
  void completed() noexcept final {
    ended_ = true;
    owner_.child_ended(*this);
  }
  context flow_;
  child_owner& owner_;
  bool ended_ = false;
};

template <class T>
class child final : public child_base {
 public:
  child(child_owner& owner, context& parent, task<T> t) noexcept
      : child_base(owner, parent), task_(std::move(t)) {}
  // After the end: the result, or throws what the child threw.
  T take() { return task_.frame().promise().take(); }
  std::exception_ptr error() const noexcept { return task_.frame().promise().error(); }

 private:
  void run() noexcept override { begin(task_.frame(), task_.frame().promise()); }
  job_origin origin() const noexcept override {
    return {.name = flow().own_name().data(),
            .code = code_of_frame(task_.frame().address()),
            .where = flow().where()};
  }
  task<T> task_;
};

// Children of one type, in one block.
template <class T>
class child_array {
 public:
  child_array() = default;
  child_array(const child_array&) = delete;
  child_array& operator=(const child_array&) = delete;
  ~child_array() {
    while (size_ > 0) first_[--size_].~child();
    ::operator delete(first_);
  }
  // Once, before adopt(): the part that may throw.
  void reserve(std::size_t n) {
    first_ = static_cast<child<T>*>(::operator new(n * sizeof(child<T>)));
  }
  void adopt(child_owner& owner, context& parent, std::vector<task<T>>& tasks) noexcept {
    for (; size_ < tasks.size(); ++size_)
      ::new (static_cast<void*>(first_ + size_)) child<T>(owner, parent, std::move(tasks[size_]));
    std::vector<task<T>>().swap(tasks);
    for (auto& c : *this) c.start();
  }
  void stop() noexcept {
    for (auto& c : *this)
      if (!c.ended()) c.request_stop();
  }
  void visit(flow_visitor& visitor) const {
    for (std::size_t i = 0; i < size_; ++i)
      if (!first_[i].ended()) visitor.visit(std::as_const(first_[i]).flow());
  }
  child<T>* begin() noexcept { return first_; }
  child<T>* end() noexcept { return first_ + size_; }

 private:
  child<T>* first_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace plait::detail

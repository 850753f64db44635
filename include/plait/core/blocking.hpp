// plait/core/blocking.hpp: what a thread that is about to block is told, and what it runs meanwhile.
//
// Threads:  all of it speaks of the calling thread.
// Throws:   before_block(): would_deadlock, where the thread must not block.
#pragma once

#include <utility>

namespace plait::detail {

class state_base;

// What a thread's owner has to say when the thread blocks. Event loops refuse; thread pools look
// for deadlocks and let somebody else work meanwhile.
class blocking_policy {
 public:
  // The thread is about to block until `awaited` is done; null: until one of several is. May throw
  // would_deadlock; after_block() is then not called.
  virtual void before_block(const state_base* awaited) = 0;
  virtual void after_block() noexcept {}
  // Makes `next` the policy of the calling thread, null for none; returns the previous one.
  static blocking_policy* exchange(blocking_policy* next) noexcept;

 protected:
  ~blocking_policy() = default;
};

// Stands around every blocking wait.
class blocking_scope {
 public:
  explicit blocking_scope(const state_base* awaited);
  ~blocking_scope();
  blocking_scope(const blocking_scope&) = delete;
  blocking_scope& operator=(const blocking_scope&) = delete;

 private:
  blocking_policy* policy_;
};

// The calls that are running on this thread, innermost first: a call that waits may be made to run
// another one meanwhile.
class running_call {
 public:
  explicit running_call(const state_base& s) noexcept
      : state_(&s), outer_(std::exchange(innermost, this)) {}
  ~running_call() { innermost = outer_; }
  running_call(const running_call&) = delete;
  running_call& operator=(const running_call&) = delete;

  static const running_call* current() noexcept { return innermost; }
  // Whether `s` is this call or one around it.
  bool is_within(const state_base& s) const noexcept {
    return state_ == &s || (outer_ != nullptr && outer_->is_within(s));
  }

 private:
  static thread_local constinit running_call* innermost;
  const state_base* state_;
  running_call* outer_;
};

}  // namespace plait::detail

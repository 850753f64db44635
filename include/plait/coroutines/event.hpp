// plait/coroutines/event.hpp: something has happened, and everyone who waits for it goes on.
//
//   plait::event ready;
//   co_await ready.wait();       // at once when it is set
//   ready.set();                 // elsewhere
//
// Threads:  belongs to one loop; from a thread, submit a call of set() to the loop.
// Order:    set() resumes all who wait, in the order in which they came.
// Stops:    a stopped wait ends at once. A wait that was resumed by set() has succeeded, even if
//           the event is cleared before it runs.
// Cost:     no allocation.
#pragma once

#include <coroutine>

#include "plait/coroutines/wait_list.hpp"

namespace plait {

class event {
 public:
  event() noexcept = default;
  event(const event&) = delete;
  event& operator=(const event&) = delete;
  // Tasks that still wait for it are cancelled.
  ~event() = default;

  class awaiter;
  [[nodiscard]] awaiter wait() noexcept;
  void set() noexcept;
  // Later waits wait again.
  void clear() noexcept { set_ = false; }
  bool is_set() const noexcept { return set_; }

 private:
  detail::wait_list<awaiter> waiting_;
  bool set_ = false;
};

class event::awaiter final : public detail::listed_waiter {
 public:
  // `what` is what the event tells, for whoever looks inside; it outlives the wait.
  explicit awaiter(event& e, const char* what = "an event to be set") noexcept
      : event_(e), what_(what) {}
  bool await_ready() const noexcept { return false; }
  template <detail::flow_promise P>
  bool await_suspend(std::coroutine_handle<P> frame) noexcept {
    if (!suspend(frame)) return false;
    if (event_.set_) {
      unsuspend();
      return false;
    }
    event_.waiting_.push(*this);
    return true;
  }
  void await_resume() const { check(); }

  std::string waits_for() const override { return what_; }

 private:
  void stop() noexcept override {
    event_.waiting_.remove(*this);
    give_up();
  }
  event& event_;
  const char* what_;
};

inline event::awaiter event::wait() noexcept { return awaiter(*this); }

inline void event::set() noexcept {
  set_ = true;
  while (awaiter* w = waiting_.pop()) w->granted();
}

}  // namespace plait

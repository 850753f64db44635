// plait/coroutines/await_future.hpp: co_await of any engine's future.
//
//   auto sum = co_await pool.submit(checksum, std::move(body));
//
// The task resumes on its own loop, whichever thread completed the future.
//
// Stops:    a stop of the awaiting task cancels the future, then waits until it is done: a call
//           that is running and cannot hear of it is waited for, since it may use what the task
//           owns. A result that arrives all the same is delivered.
// Throws:   what the call threw; cancelled_error.
// Cost:     no allocation; from another thread one atomic, and a wake-up if the loop sleeps.
#pragma once

#include <coroutine>

#include "plait/core/future.hpp"
#include "plait/coroutines/context.hpp"

namespace plait {
namespace detail {

class future_awaiter_base : public waiter, public home_observer {
 public:
  future_awaiter_base(const future_awaiter_base&) = delete;
  future_awaiter_base& operator=(const future_awaiter_base&) = delete;
  bool await_ready() const noexcept { return false; }
  std::string waits_for() const final;
  bool ends_from_within() const noexcept final { return !elsewhere_ && awaited_->is_submitted(); }
  const state_base* awaited_state() const noexcept final { return awaited_; }

  // Where a task has just ended that `awaiter` waits for at home, and is about to return to the
  // loop: what would run next anyway runs at once.
  static void resume_at_end(home_observer& awaiter) noexcept {
    auto& self = static_cast<future_awaiter_base&>(awaiter);
    const auto& queue = self.flow().queue();
    if (queue.is_plain && queue.ready.empty()) {
      self.resume_next();
    } else {
      self.resume_soon();
    }
  }

 protected:
  explicit future_awaiter_base(state_base& awaited) noexcept
      : home_observer(&future_awaiter_base::done), awaited_(&awaited) {}
  ~future_awaiter_base() {
    if (awaited_ != nullptr) awaited_->release();
  }
  // False if the future is done already.
  template <flow_promise P>
  bool begin(std::coroutine_handle<P> frame) noexcept {
    suspend_always(frame);
    const bool added = awaited_->home_queue() == &flow().queue()
                           ? awaited_->add_observer_at_home(*this)
                           : begin_elsewhere();
    if (!added) [[unlikely]] {
      unsuspend();
      return false;
    }
    if (flow().stopping()) [[unlikely]]
      awaited_->cancel();
    return true;
  }
  // The result's reference, once; on the loop again.
  state_base* arrived() noexcept {
    if (elsewhere_) [[unlikely]]
      --flow().queue().elsewhere;
    return std::exchange(awaited_, nullptr);
  }

 private:
  bool begin_elsewhere() noexcept;
  static void done(observer* self) noexcept;  // on the completing thread
  void stop() noexcept final { awaited_->cancel(); }
  state_base* awaited_;     // a reference of ours
  bool elsewhere_ = false;  // counted as a wait that another engine will end
};

template <class T>
class future_awaiter final : public future_awaiter_base {
 public:
  explicit future_awaiter(future<T>&& f) : future_awaiter_base(*access::release(f)) {}
  template <flow_promise P>
  bool await_suspend(std::coroutine_handle<P> frame) noexcept {
    return begin(frame);
  }
  T await_resume() { return access::adopt(static_cast<state<T>*>(arrived())).get(); }
};

}  // namespace detail

template <class T>
auto operator co_await(future<T>&& f) {
  return detail::future_awaiter<T>(std::move(f));
}
template <class T>
auto operator co_await(const future<T>& f) {
  return detail::future_awaiter<T>(future<T>(f));
}

}  // namespace plait

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

class future_awaiter_base : public waiter {
 public:
  bool await_ready() const noexcept { return false; }
  std::string waits_for() const final;
  bool ends_from_within() const noexcept final { return !elsewhere_ && awaited_->is_submitted(); }
  const state_base* awaited_state() const noexcept final { return awaited_; }

 protected:
  ~future_awaiter_base() = default;
  // False if the future is done already.
  bool begin(state_base& awaited) noexcept;

 private:
  struct bridge final : observer {
    explicit bridge(future_awaiter_base& o) noexcept : observer(&bridge::done), owner(o) {}
    static void done(observer* self) noexcept;  // on the completing thread
    future_awaiter_base& owner;
  };
  // Back on the loop: the flow goes on.
  struct arrival final : job {
    explicit arrival(future_awaiter_base& o) noexcept : owner(o) {}
    void run() noexcept override { owner.arrived(); }
    void drop() noexcept override {}
    future_awaiter_base& owner;
  };
  void arrived() noexcept {
    flow().queue().elsewhere -= elsewhere_;
    resume_soon();
  }
  void stop() noexcept final { awaited_->cancel(); }
  bool elsewhere_ = false;  // another engine will complete it
  state_base* awaited_ = nullptr;
  bridge bridge_{*this};
  arrival arrival_{*this};
};

template <class T>
class future_awaiter final : public future_awaiter_base {
 public:
  explicit future_awaiter(future<T> f) noexcept : future_(std::move(f)) {}
  template <flow_promise P>
  bool await_suspend(std::coroutine_handle<P> frame) {
    auto& state = access::checked(future_);
    suspend_always(frame);
    if (!begin(state)) {
      unsuspend();
      return false;
    }
    if (flow().stopping()) state.cancel();
    return true;
  }
  T await_resume() { return std::move(future_).get(); }

 private:
  future<T> future_;
};

}  // namespace detail

template <class T>
auto operator co_await(future<T> f) noexcept {
  return detail::future_awaiter<T>(std::move(f));
}

}  // namespace plait

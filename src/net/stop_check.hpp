// src/net/stop_check.hpp: throws cancelled_error if the awaiting flow is stopping, and never waits.
#pragma once

#include <coroutine>
#include <string>

#include "plait/coroutines/context.hpp"

namespace plait::net {

class stop_check final : public plait::detail::waiter {
 public:
  bool await_ready() const noexcept { return false; }
  template <plait::detail::flow_promise P>
  bool await_suspend(std::coroutine_handle<P> frame) noexcept {
    if (suspend(frame)) unsuspend();
    return false;
  }
  void await_resume() const { check(); }
  std::string waits_for() const override { return "nothing"; }

 private:
  void stop() noexcept override {}
};

}  // namespace plait::net

// src/coroutines/poller.hpp: the kernel's side of a loop: which descriptors are ready, and sleep.
//
// A handful of functions, so that another kernel interface can stand beside epoll.
#pragma once

#include "plait/core/clock.hpp"
#include "plait/coroutines/readiness.hpp"

namespace plait::detail {

class poller {
 public:
  poller();  // throws std::system_error: no descriptors left
  ~poller();
  poller(const poller&) = delete;
  poller& operator=(const poller&) = delete;

  // Reports both directions of `r`'s descriptor, edge-triggered, until it is removed.
  // Throws std::system_error (ENOSPC: the user's epoll watch limit; ENOMEM).
  void add(readiness& r);
  void remove(readiness& r) noexcept;

  // Waits up to `longest` for events and reports them; with zero only looks. Returns whether the
  // wake-up arrived. Reporting marks and readies; it runs no user code.
  bool wait(duration longest) noexcept;
  // From any thread: ends the present or next wait. Uses nothing of this object but `wake_fd`.
  static void wake(int wake_fd) noexcept;
  int wake_fd() const noexcept { return wake_fd_; }
  // Waits until the wake-up that somebody is about to send has arrived.
  void await_wake() noexcept;

 private:
  void drain_wake() noexcept;
  int epoll_fd_, wake_fd_;
};

}  // namespace plait::detail

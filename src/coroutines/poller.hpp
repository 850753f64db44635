// src/coroutines/poller.hpp: the kernel's side of a loop: which descriptors are ready, and sleep.
//
// A handful of functions, so that epoll and io_uring can stand beside each other. Both report
// readiness, edge-triggered; io_uring also carries out whole system calls (io_operation).
//
// Threads:  the loop's thread, but for wake().
#pragma once

#include <memory>

#include "plait/core/clock.hpp"
#include "plait/coroutines/event_loop.hpp"
#include "plait/coroutines/io_operation.hpp"
#include "plait/coroutines/readiness.hpp"

namespace plait::detail {

class poller {
 public:
  // What was asked for; epoll where the kernel refuses a ring. Throws std::system_error: no
  // descriptors left.
  static std::unique_ptr<poller> open(poller_kind wanted);
  virtual ~poller();
  poller(const poller&) = delete;
  poller& operator=(const poller&) = delete;
  virtual poller_kind kind() const noexcept = 0;

  // From add() to remove(), once watch() has been called, both directions of `r`'s descriptor are
  // reported. add() says in `r` whether that is so from the beginning.
  // Throws std::system_error (ENOSPC: the user's epoll watch limit; EPERM: a file; ENOMEM).
  virtual void add(readiness& r) = 0;
  virtual void watch(readiness& r) noexcept = 0;
  virtual void remove(readiness& r) noexcept = 0;

  // Gives the kernel a system call to carry out; its end comes through io_operation::ended().
  // Only where add() said that the poller carries out calls.
  virtual void begin(io_operation& call) noexcept = 0;
  // Asks the kernel to end it early; its end comes all the same.
  virtual void cancel(io_operation& call) noexcept = 0;

  // Waits up to `longest` for events and reports them; with zero only looks. Returns whether the
  // wake-up arrived. Reporting marks and readies; it runs no user code.
  virtual bool wait(duration longest) noexcept = 0;
  // From any thread: ends the present or next wait. Uses nothing of this object but `wake_fd`.
  static void wake(int wake_fd) noexcept;
  int wake_fd() const noexcept { return wake_fd_; }
  // Waits until the wake-up that somebody is about to send has arrived.
  void await_wake() noexcept;

 protected:
  poller();
  // Takes the wake-up back; false if there was none.
  bool drain_wake() noexcept;
  // What both kernel interfaces report about `r`: poll(2)'s bits.
  static void report(readiness& r, unsigned mask) noexcept;

  [[noreturn]] static void throw_cannot_watch(int error);

  // The parts of a readiness that belong to its poller.
  static unsigned slot_of(const readiness& r) noexcept { return r.slot_; }
  static bool watched(const readiness& r) noexcept { return r.watched_; }
  static void set_watched(readiness& r) noexcept { r.watched_ = true; }
  static void set_slot(readiness& r, unsigned slot) noexcept {
    r.slot_ = slot;
    r.completes_ = true;
  }

 private:
  int wake_fd_;
};

std::unique_ptr<poller> open_epoll_poller();
// Null where the kernel has no ring to give, or may not.
std::unique_ptr<poller> open_uring_poller();

}  // namespace plait::detail

// plait/coroutines/readiness.hpp: one descriptor on a loop, and the flows that wait for it.
//
// Try the system call first; on EAGAIN say so with not_readable() or not_writable() and await the
// direction. One system call a descriptor to watch it, none an operation.
//
// Threads:  the loop's thread only.
// Stops:    a stopped wait leaves the descriptor as it was.
// Throws:   the constructor: std::system_error. Awaiting a direction that another flow awaits
//           already: invalid_state.
#pragma once

#include <coroutine>
#include <string>

#include "plait/coroutines/context.hpp"

namespace plait::detail {

class poller;
class io_operation;

// A flow that waits for one direction of a descriptor.
class direction_waiter : public waiter {
 public:
  // The direction may have become ready.
  virtual void marked() noexcept = 0;
  // The descriptor leaves the loop: the wait ends without success.
  virtual void abandoned() noexcept = 0;

 protected:
  ~direction_waiter() = default;
  [[noreturn]] static void throw_busy();
};

class readiness {
 public:
  // Registers a non-blocking descriptor with the loop that runs on this thread. Does not own it,
  // and must be destroyed before it is closed. Whoever still awaits it then gets cancelled_error.
  explicit readiness(int fd);
  ~readiness();
  readiness(const readiness&) = delete;
  readiness& operator=(const readiness&) = delete;

  int fd() const noexcept { return fd_; }
  void not_readable() noexcept { exhausted(in_, false); }
  void not_writable() noexcept { exhausted(out_, false); }
  // A stream's read came back short: nothing is left, which saves the call that would say EAGAIN.
  // Not so once the other end has hung up: no further edge will announce the end of the stream.
  void drained() noexcept { exhausted(in_, hung_up_); }
  // False if nothing has arrived since the last not_readable() or drained().
  bool maybe_readable() const noexcept { return in_.ready; }
  auto readable() noexcept { return awaiter(*this, in_); }
  auto writable() noexcept { return awaiter(*this, out_); }

  // Whether the loop's poller carries out whole calls: then io_operation saves system calls.
  bool completes() const noexcept { return completes_; }

 private:
  friend poller;
  friend io_operation;
  class awaiter;
  struct direction {
    bool ready = true;  // until a system call says otherwise
    direction_waiter* waiting = nullptr;
    void mark() noexcept {
      ready = true;
      if (waiting != nullptr) waiting->marked();
    }
  };

  class awaiter final : public direction_waiter {
   public:
    awaiter(const readiness& r, direction& d) noexcept : readiness_(r), direction_(d) {}
    bool await_ready() const noexcept { return false; }
    template <flow_promise P>
    bool await_suspend(std::coroutine_handle<P> frame) {
      if (direction_.waiting != nullptr) throw_busy();
      if (!suspend(frame)) return false;
      if (direction_.ready) {
        unsuspend();
        return false;
      }
      direction_.waiting = this;
      return true;
    }
    void await_resume() const { check(); }
    std::string waits_for() const override;

   private:
    void marked() noexcept override {
      direction_.waiting = nullptr;
      resume_soon();
    }
    void stop() noexcept override {
      direction_.waiting = nullptr;
      give_up();
    }
    void abandoned() noexcept override { stop(); }
    const readiness& readiness_;
    direction& direction_;
  };

  void exhausted(direction& d, bool still_ready) noexcept {
    d.ready = still_ready;
    if (!watched_) [[unlikely]]
      watch();
  }
  void watch() noexcept;

  event_loop& loop_;
  int fd_;
  unsigned slot_ : 29 = 0;  // these four: the poller's
  unsigned hung_up_ : 1 = false;
  unsigned watched_ : 1 = false;
  unsigned completes_ : 1 = false;
  direction in_, out_;
};

}  // namespace plait::detail

// plait/coroutines/readiness.hpp: one descriptor on a loop, and the flows that wait for it.
//
// Try the system call first; on EAGAIN say so with not_readable() or not_writable() and await the
// direction. One epoll_ctl a descriptor, none an operation.
//
// Threads:  the loop's thread only.
// Stops:    a stopped wait leaves the descriptor as it was.
// Throws:   the constructor: std::system_error. Awaiting a direction that another flow awaits
//           already: invalid_state.
#pragma once

#include <coroutine>

#include "plait/coroutines/context.hpp"

namespace plait::detail {

class poller;

class readiness {
 public:
  // Registers a non-blocking descriptor with the loop that runs on this thread. Does not own it,
  // and must be destroyed before it is closed. Whoever still awaits it then gets cancelled_error.
  explicit readiness(int fd);
  ~readiness();
  readiness(const readiness&) = delete;
  readiness& operator=(const readiness&) = delete;

  int fd() const noexcept { return fd_; }
  void not_readable() noexcept { in_.ready = false; }
  void not_writable() noexcept { out_.ready = false; }
  // A stream's read came back short: nothing is left, which saves the call that would say EAGAIN.
  // Not so once the other end has hung up: no further edge will announce the end of the stream.
  void drained() noexcept { in_.ready = hung_up_; }
  // False if nothing has arrived since the last not_readable() or drained().
  bool maybe_readable() const noexcept { return in_.ready; }
  auto readable() noexcept { return awaiter(*this, in_); }
  auto writable() noexcept { return awaiter(*this, out_); }

 private:
  friend poller;
  class awaiter;
  struct direction {
    bool ready = true;  // until a system call says otherwise
    awaiter* waiting = nullptr;
    void mark() noexcept;
  };

  class awaiter final : public waiter {
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
    friend direction;
    void stop() noexcept override {
      direction_.waiting = nullptr;
      give_up();
    }
    [[noreturn]] static void throw_busy();
    const readiness& readiness_;
    direction& direction_;
  };

  event_loop& loop_;
  int fd_;
  bool hung_up_ = false;
  direction in_, out_;
};

}  // namespace plait::detail

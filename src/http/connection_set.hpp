// src/http/connection_set.hpp: a server's connections: each a flow of its own, all ended with it.
//
// Everything on the server's loop. A connection ends by itself, or is stopped: by its deadline, or by
// the server when that is stopped. The set is empty before serve() returns.
#pragma once

#include <coroutine>
#include <cstddef>
#include <optional>

#include "plait/coroutines/child.hpp"
#include "plait/coroutines/event_loop.hpp"
#include "plait/coroutines/timer.hpp"

namespace plait::http {

class connection_set;

// One connection's flow and its deadline. Deletes itself at its end.
class live_connection final : public plait::detail::child_base, private plait::detail::timer {
 public:
  enum class phase { waiting, receiving, answering, sending };

  live_connection(connection_set& set, plait::detail::context& parent) noexcept;
  static void* operator new(std::size_t bytes) {
    return plait::detail::block_cache::allocate(bytes);
  }
  static void operator delete(void* block, std::size_t bytes) noexcept {
    plait::detail::block_cache::free(block, bytes);
  }
  void start(task<> conversation) noexcept;

  // What the connection does from now on, and for how long it may; duration::max(): as it likes.
  void enter(phase entered, duration longest) noexcept;
  phase now_in() const noexcept { return phase_; }
  bool timed_out() const noexcept { return timed_out_; }

 private:
  friend connection_set;
  void run() noexcept override { begin(conversation_->frame(), conversation_->frame().promise()); }
  void expired() noexcept override;

  std::optional<task<>> conversation_;
  connection_set& set_;
  live_connection *previous_ = nullptr, *next_live_ = nullptr;
  time_point deadline_{};
  phase phase_ = phase::waiting;
  bool timed_out_ = false;
};

class connection_set final : public plait::detail::child_owner, private plait::detail::timer {
 public:
  explicit connection_set(event_loop& loop) noexcept : loop_(loop) {}
  ~connection_set() = default;

  std::size_t size() const noexcept { return size_; }
  event_loop& loop() const noexcept { return loop_; }
  // True from the beginning of the end: answers then say Connection: close.
  bool draining() const noexcept { return draining_; }
  void begin_draining(duration longest) noexcept;

  // co_await fewer_than(n): until the set is smaller. Awaited by one flow, the server's.
  struct smaller_awaiter;
  smaller_awaiter fewer_than(std::size_t n) noexcept;
  // The same without hearing of a stop.
  smaller_awaiter empty() noexcept;

  std::string waits_for() const override;
  void visit_children(plait::detail::flow_visitor& visitor) const override;

 private:
  friend live_connection;
  enum class on_stop { leave, stay };
  template <plait::detail::flow_promise P>
  bool wait(std::coroutine_handle<P> frame, std::size_t below, on_stop how) noexcept {
    if (size_ < below) return false;
    below_ = below;
    if (how == on_stop::leave) return suspend(frame);
    suspend_always(frame);
    return true;
  }
  void check_stop() const { check(); }
  void link(live_connection& added) noexcept;
  void child_ended(plait::detail::child_base& ended) noexcept override;
  void stop() noexcept override;
  void expired() noexcept override;
  void stop_all() noexcept;

  event_loop& loop_;
  live_connection* first_ = nullptr;
  std::size_t size_ = 0;
  std::size_t below_ = 0;  // what the server's flow waits for; 0: it does not
  bool draining_ = false;
};

struct connection_set::smaller_awaiter {
  connection_set& set;
  std::size_t below;
  on_stop how;
  bool await_ready() const noexcept { return false; }
  template <plait::detail::flow_promise P>
  bool await_suspend(std::coroutine_handle<P> frame) noexcept {
    return set.wait(frame, below, how);
  }
  void await_resume() const {
    if (how == on_stop::leave) set.check_stop();
  }
};

inline connection_set::smaller_awaiter connection_set::fewer_than(std::size_t n) noexcept {
  return {*this, n, on_stop::leave};
}
inline connection_set::smaller_awaiter connection_set::empty() noexcept {
  return {*this, 1, on_stop::stay};
}

}  // namespace plait::http

// plait/coroutines/barrier.hpp: nobody goes on until all have come.
//
//   plait::barrier barrier{3};
//   const std::size_t index = co_await barrier.wait();   // 0, 1 or 2: one of each
//   if (index == 0) merge();
//
// Full, it lets everyone through and is empty again at once: whoever comes next, those too that
// have just been let through, waits for the next round.
//
// Threads:  belongs to one loop.
// Order:    the index is the order of arrival; the last to come does not wait.
// Stops:    a stopped wait leaves, and the others wait for one more; who has been let through
//           has its index.
// Throws:   the constructor: std::invalid_argument for no parties. wait: broken_barrier.
// Cost:     no allocation.
#pragma once

#include <coroutine>
#include <cstddef>
#include <stdexcept>

#include "plait/coroutines/wait_list.hpp"

namespace plait {

class broken_barrier : public error {
 public:
  broken_barrier() : error("the barrier was aborted or reset while waiting") {}
};

class barrier {
 public:
  explicit barrier(std::size_t parties) : parties_(parties) {
    if (parties == 0) throw std::invalid_argument("a barrier needs a party or more");
  }
  barrier(const barrier&) = delete;
  barrier& operator=(const barrier&) = delete;
  // Tasks that still wait at it are cancelled.
  ~barrier() = default;

  class awaiter;
  // co_await gives the index, from 0 to parties() - 1.
  [[nodiscard]] awaiter wait() noexcept;
  // Breaks it: who waits, and whoever comes before reset(), gets broken_barrier.
  void abort() noexcept {
    broken_ = true;
    send_away();
  }
  // Empty and whole again; who waits gets broken_barrier.
  void reset() noexcept {
    broken_ = false;
    send_away();
  }

  std::size_t parties() const noexcept { return parties_; }
  // Those who wait now.
  std::size_t waiting() const noexcept { return arrived_; }
  bool broken() const noexcept { return broken_; }

 private:
  void let_through() noexcept;
  void send_away() noexcept;
  std::size_t parties_, arrived_ = 0;
  bool broken_ = false;
  detail::wait_list<awaiter> waiting_;
};

class barrier::awaiter final : public detail::listed_waiter {
 public:
  explicit awaiter(barrier& b) noexcept : barrier_(b) {}
  bool await_ready() const noexcept { return false; }
  template <detail::flow_promise P>
  bool await_suspend(std::coroutine_handle<P> frame) noexcept {
    if (!suspend(frame)) return false;
    if (!barrier_.broken_ && barrier_.arrived_ + 1 < barrier_.parties_) {
      barrier_.waiting_.push(*this);
      ++barrier_.arrived_;
      return true;
    }
    unsuspend();
    if (!barrier_.broken_) {
      index_ = barrier_.arrived_;
      barrier_.let_through();
    }
    return false;
  }
  std::size_t await_resume() const {
    check();
    if (index_ == sent_away) throw broken_barrier();
    return index_;
  }

  std::string waits_for() const override {
    const auto missing = barrier_.parties_ - barrier_.arrived_;
    return "a barrier that " + std::to_string(missing) + " more must reach";
  }

 private:
  friend barrier;
  static constexpr auto sent_away = static_cast<std::size_t>(-1);
  void stop() noexcept override {
    barrier_.waiting_.remove(*this);
    --barrier_.arrived_;
    give_up();
  }
  barrier& barrier_;
  std::size_t index_ = sent_away;
};

inline barrier::awaiter barrier::wait() noexcept { return awaiter(*this); }

inline void barrier::let_through() noexcept {
  arrived_ = 0;
  for (std::size_t i = 0; awaiter* w = waiting_.pop(); ++i) {
    w->index_ = i;
    w->granted();
  }
}

inline void barrier::send_away() noexcept {
  arrived_ = 0;
  while (awaiter* w = waiting_.pop()) w->granted();
}

}  // namespace plait

// plait/coroutines/deadline.hpp: a point in time at which work is stopped, and that can be moved.
//
//   plait::deadline limit(30s);
//   co_await plait::timeout_at(limit, copy(from, to, limit));
//   ...
//   limit.reschedule(30s);  // in copy, whenever bytes have come in
//
// asyncio's Timeout.reschedule, trio's CancelScope.deadline. The object is the caller's, so that the
// work itself, or whoever else sees it, can move it. It may bound several awaits, one after the other
// (a budget for all of them) or at once.
//
// Threads:  one loop's.
// Stops:    as timeout() and move_on_after(). Who was stopped stays so: a deadline that has passed
//           can be moved again when all that it stopped has ended. Without its deadline, destroyed
//           before it, an await goes on unbounded.
// Throws:   invalid_state where time is to count from now, outside a loop.
// Cost:     one timer a deadline, five words more an await; moving it is O(1), about 20 ns.
#pragma once

#include <utility>

#include "plait/coroutines/move_on.hpp"
#include "plait/coroutines/timeout.hpp"

namespace plait {

class deadline;

namespace detail {

// What a deadline object bounds.
class deadline_base : public bounded_base {
 public:
  std::string waits_for() const final;

  // The deadline's: its list of what it bounds.
  plait::deadline* limited_by;  // null when it has gone
  deadline_base *previous = nullptr, *following = nullptr;
  void stop_at(time_point when) noexcept;
  bool stopped() const noexcept { return fired(); }
  event_loop& loop() const noexcept { return flow().loop(); }

 protected:
  using bound_type = plait::deadline*;
  explicit deadline_base(bound_type l) noexcept : limited_by(l) {}
  ~deadline_base() = default;
  void begin(child_base& operand) noexcept;
  [[noreturn]] void rethrow(std::exception_ptr error) const;
  bound_type bound() const noexcept { return limited_by; }

 private:
  void child_ended(child_base&) noexcept final;
  time_point began_;
  duration took_ = duration::zero();  // until it was stopped
};

time_point from_now(duration span);

}  // namespace detail

class deadline {
 public:
  static constexpr time_point never = time_point::max();

  deadline() noexcept = default;  // never
  explicit deadline(time_point when) noexcept : when_(when) {}
  // From now, by the clock of the loop that runs on this thread.
  template <class Rep, class Period>
  explicit deadline(const std::chrono::duration<Rep, Period>& span)
      : deadline(detail::from_now(detail::to_duration(span))) {}
  deadline(const deadline&) = delete;
  deadline& operator=(const deadline&) = delete;
  ~deadline();

  time_point expires_at() const noexcept { return when_; }
  // Whether it has stopped something that has not ended yet.
  bool expired() const noexcept { return stopped_ != 0; }

  // Moves it, into the past too: then it passes in the loop's next turn. Returns false, and nothing
  // has changed, if it is expired().
  bool reschedule(time_point when) noexcept;
  template <class Rep, class Period>
  bool reschedule(const std::chrono::duration<Rep, Period>& from_now) {
    return reschedule(detail::from_now(detail::to_duration(from_now)));
  }
  // By so much from where it is; less than zero brings it forward. Never stays never.
  template <class Rep, class Period>
  bool extend_by(const std::chrono::duration<Rep, Period>& span) noexcept {
    return reschedule(when_ == never ? never
                                     : detail::add_saturated(when_, detail::to_duration(span)));
  }

 private:
  friend detail::deadline_base;
  struct alarm final : detail::timer {
    explicit alarm(plait::deadline& o) noexcept : owner(o) {}
    void expired() noexcept override { owner.passed(); }
    plait::deadline& owner;
  };
  void add(detail::deadline_base& bounded) noexcept;
  void remove(detail::deadline_base& bounded) noexcept;
  void passed() noexcept;
  void arm() noexcept;

  time_point when_ = never;
  detail::deadline_base* first_ = nullptr;  // of what it bounds now
  std::size_t stopped_ = 0;                 // of those
  alarm alarm_{*this};
};

// The operand is stopped when `limit` passes, wherever it has been moved to until then.
template <class Awaitable>
[[nodiscard]] auto timeout_at(deadline& limit, Awaitable awaitable) {
  return detail::timeout_thrower<detail::awaited_value<Awaitable>, detail::deadline_base>(
      &limit, detail::to_task(std::move(awaitable)));
}
template <class Awaitable>
[[nodiscard]] auto move_on_at(deadline& limit, Awaitable awaitable) {
  return detail::move_on_awaiter<detail::awaited_value<Awaitable>, detail::deadline_base>(
      &limit, detail::to_task(std::move(awaitable)));
}

}  // namespace plait

// src/coroutines/timer_wheel.hpp: every timer of a loop, O(1) to arm and disarm, exact to fire.
//
// A hierarchical wheel (Varghese and Lauck, SOSP 1987): 8 levels of 64 slots over ticks of 2^16 ns
// (65.5 us). A timer lies at the level of the highest 6-bit digit in which its tick differs from
// the present one, and moves down as that digit is reached, at most 7 times. Inside a slot the
// order is that of arming; what expires in one turn fires in order of deadline.
//
// A timer that is disarmed just leaves its list. The bits that say which slots have timers may
// therefore say too much; whoever meets an empty slot clears its bit.
#pragma once

#include <array>
#include <cstdint>

#include "plait/coroutines/timer.hpp"

namespace plait::detail {

class timer_wheel {
 public:
  explicit timer_wheel(time_point now) noexcept : tick_(tick_of(now)) {}

  void arm(timer& t, time_point deadline) noexcept;
  bool empty() const noexcept;
  // A time not later than the first deadline, and equal to it when that is within 4 ms: when to
  // call expire() next. time_point::max() when empty.
  time_point next_expiry() const noexcept;
  // Fires every timer whose deadline is not after `now`. A timer that fires may arm and disarm
  // others, those that are about to fire included.
  void expire(time_point now) noexcept;

  // The same in steps, for who chooses the order: what has come due, how many of it (`most` at
  // most) have the first deadline, and fire one of those.
  void collect(time_point now) noexcept;
  std::size_t due_together(std::size_t most) const noexcept;
  void fire(std::size_t index) noexcept;

 private:
  static constexpr unsigned tick_bits = 16, digit_bits = 6, slots = 64, levels = 8;
  struct slot_list : timer_link {  // the ring's own link
    slot_list() noexcept : timer_link{this, this} {}
    slot_list(const slot_list&) = delete;
    slot_list& operator=(const slot_list&) = delete;
    bool empty() const noexcept { return next == this; }
    timer& first() const noexcept { return static_cast<timer&>(*next); }
    void append(timer& t) noexcept;
  };
  // What was a slot's, in order: linked by `next` alone, to null.
  struct chain {
    timer* first;
    timer* last;
  };
  struct place {
    unsigned level, slot;
  };

  static std::uint64_t tick_of(time_point t) noexcept;
  place place_of(time_point deadline) const noexcept;
  void link(timer& t, place at) noexcept;
  // The first occupied slot at or after the present tick, and the tick at which it begins.
  bool first_occupied(place& at, std::uint64_t& begins) const noexcept;
  chain take(place at) noexcept;
  static timer* after(const timer& t) noexcept { return static_cast<timer*>(t.next); }
  static void fire(timer& t) noexcept;
  static chain sorted(chain list) noexcept;

  std::uint64_t tick_;
  slot_list due_;                                         // expired, about to fire
  mutable std::array<std::uint64_t, levels> occupied_{};  // a bit a slot
  std::array<std::array<slot_list, slots>, levels> wheel_;
};

}  // namespace plait::detail

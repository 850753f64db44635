// benchmarks/peers/raw_timer_wheel.hpp: a hierarchical timer wheel on a cached clock, the limit for
// set + cancel.
//
// Six levels of 64 slots, ticks of one millisecond, intrusive lists: set and cancel in constant
// time.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

namespace raw {

struct timer {
  std::int64_t due_ms = 0;
  timer* previous = nullptr;
  timer* next = nullptr;
};

class timer_wheel {
 public:
  explicit timer_wheel(std::int64_t now_ms) : tick_(now_ms) {
    for (auto& level : slots_)
      for (auto& slot : level) slot.previous = slot.next = &slot;
  }

  void set(timer& added) {
    const std::int64_t due = std::max(added.due_ms, tick_ + 1);
    const auto ahead = static_cast<std::uint64_t>(due - tick_);
    const int level = std::min((static_cast<int>(std::bit_width(ahead)) - 1) / 6, levels - 1);
    timer& slot = slots_[level][(due >> (6 * level)) & 63];
    added.previous = slot.previous;
    added.next = &slot;
    slot.previous->next = &added;
    slot.previous = &added;
  }

  static void cancel(timer& set) {
    set.previous->next = set.next;
    set.next->previous = set.previous;
  }

 private:
  static constexpr int levels = 6;
  timer slots_[levels][64];
  std::int64_t tick_;
};

}  // namespace raw

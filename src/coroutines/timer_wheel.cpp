#include "coroutines/timer_wheel.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace plait::detail {

std::uint64_t timer_wheel::tick_of(time_point t) noexcept {
  const auto since = t.time_since_epoch().count();
  return since <= 0 ? 0 : static_cast<std::uint64_t>(since) >> tick_bits;
}

timer_wheel::place timer_wheel::place_of(time_point deadline) const noexcept {
  const std::uint64_t tick = std::max(tick_of(deadline), tick_);
  const std::uint64_t differing = (tick ^ tick_) | (slots - 1);
  const unsigned level = static_cast<unsigned>(63 - std::countl_zero(differing)) / digit_bits;
  return {level, static_cast<unsigned>(tick >> (level * digit_bits)) % slots};
}

void timer_wheel::slot_list::append(timer& t) noexcept {
  t.previous = last;
  t.next_timer = nullptr;
  (last != nullptr ? last->next_timer : first) = &t;
  last = &t;
}

void timer_wheel::slot_list::unlink(timer& t) noexcept {
  (t.previous != nullptr ? t.previous->next_timer : first) = t.next_timer;
  (t.next_timer != nullptr ? t.next_timer->previous : last) = t.previous;
}

void timer_wheel::link(timer& t, place at) noexcept {
  wheel_[at.level][at.slot].append(t);
  occupied_[at.level] |= std::uint64_t{1} << at.slot;
}

void timer_wheel::arm(timer& t, time_point deadline) noexcept {
  t.wheel = this;
  t.due = false;
  t.deadline = deadline;
  link(t, place_of(deadline));
  ++count_;
}

void timer_wheel::disarm(timer& t) noexcept {
  if (t.due) {
    due_.unlink(t);
  } else {
    const place at = place_of(t.deadline);
    slot_list& list = wheel_[at.level][at.slot];
    list.unlink(t);
    if (list.first == nullptr) occupied_[at.level] &= ~(std::uint64_t{1} << at.slot);
  }
  t.wheel = nullptr;
  --count_;
}

bool timer_wheel::first_occupied(place& at, std::uint64_t& begins) const noexcept {
  for (unsigned level = 0; level < levels; ++level) {
    if (occupied_[level] == 0) continue;
    // Slots of a level lie at or ahead of the present digit, within one turn of it.
    const unsigned shift = level * digit_bits;
    const unsigned digit = static_cast<unsigned>(tick_ >> shift) % slots;
    const unsigned ahead = static_cast<unsigned>(
        std::countr_zero(std::rotr(occupied_[level], static_cast<int>(digit))));
    at = {level, (digit + ahead) % slots};
    begins = ((tick_ >> shift) + ahead) << shift;
    return true;
  }
  return false;
}

time_point timer_wheel::next_expiry() const noexcept {
  place at{};
  std::uint64_t begins = 0;
  if (!first_occupied(at, begins)) return time_point::max();
  if (at.level != 0) return time_point(duration(static_cast<std::int64_t>(begins << tick_bits)));
  time_point first = time_point::max();
  for (const timer* t = wheel_[0][at.slot].first; t != nullptr; t = t->next_timer)
    first = std::min(first, t->deadline);
  return first;
}

timer_wheel::slot_list timer_wheel::take(place at) noexcept {
  occupied_[at.level] &= ~(std::uint64_t{1} << at.slot);
  return std::exchange(wheel_[at.level][at.slot], {});
}

void timer_wheel::expire(time_point now) noexcept {
  collect(now);
  while (due_.first != nullptr) fire(*due_.first);
}

void timer_wheel::fire(timer& t) noexcept {
  due_.unlink(t);
  t.wheel = nullptr;
  --count_;
  t.expired();
}

std::size_t timer_wheel::due_together(std::size_t most) const noexcept {
  std::size_t n = 0;
  for (const timer* t = due_.first; t != nullptr && n < most; t = t->next_timer, ++n)
    if (t->deadline != due_.first->deadline) break;
  return n;
}

void timer_wheel::fire(std::size_t index) noexcept {
  timer* t = due_.first;
  for (; index > 0; --index) t = t->next_timer;
  fire(*t);
}

void timer_wheel::collect(time_point now) noexcept {
  const std::uint64_t present = tick_of(now);
  place at{};
  std::uint64_t begins = 0;
  while (first_occupied(at, begins) && begins <= present) {
    tick_ = std::max(tick_, begins);
    slot_list list = take(at);
    if (at.level == 0) list = sorted(list);
    slot_list later;  // of the present tick, but after now
    while (list.first != nullptr) {
      timer& t = *std::exchange(list.first, list.first->next_timer);
      if (at.level != 0) {
        link(t, place_of(t.deadline));
      } else if (t.deadline <= now) {
        t.due = true;
        due_.append(t);
      } else {
        later.append(t);
      }
    }
    if (later.first != nullptr) {  // nothing beyond the present tick can be due
      wheel_[0][at.slot] = later;
      occupied_[0] |= std::uint64_t{1} << at.slot;
      return;
    }
  }
  tick_ = std::max(tick_, present);
}

timer_wheel::slot_list timer_wheel::sorted(slot_list list) noexcept {
  bool in_order = true;
  for (const timer* t = list.first; t != list.last; t = t->next_timer)
    if (t->next_timer->deadline < t->deadline) in_order = false;
  if (in_order) return list;
  // Merge sort, stable, by halves; the backward links are mended when the caller appends each to a
  // new list.
  timer* middle = list.first;
  for (const timer* end = list.first->next_timer; end != nullptr && end->next_timer != nullptr;
       end = end->next_timer->next_timer)
    middle = middle->next_timer;
  slot_list right{std::exchange(middle->next_timer, nullptr), list.last};
  list.last = middle;
  list = sorted(list);
  right = sorted(right);
  slot_list merged;
  while (list.first != nullptr || right.first != nullptr) {
    const bool from_right = list.first == nullptr || (right.first != nullptr &&
                                                      right.first->deadline < list.first->deadline);
    timer*& source = from_right ? right.first : list.first;
    timer* t = std::exchange(source, source->next_timer);
    t->next_timer = nullptr;
    (merged.last != nullptr ? merged.last->next_timer : merged.first) = t;
    merged.last = t;
  }
  return merged;
}

}  // namespace plait::detail

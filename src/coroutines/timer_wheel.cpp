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
  t.previous = previous;
  t.next = this;
  previous->next = &t;
  previous = &t;
}

void timer_wheel::link(timer& t, place at) noexcept {
  wheel_[at.level][at.slot].append(t);
  occupied_[at.level] |= std::uint64_t{1} << at.slot;
}

void timer_wheel::arm(timer& t, time_point deadline) noexcept {
  t.deadline = deadline;
  link(t, place_of(deadline));
}

bool timer_wheel::first_occupied(place& at, std::uint64_t& begins) const noexcept {
  for (unsigned level = 0; level < levels; ++level) {
    while (occupied_[level] != 0) {
      // Slots of a level lie at or ahead of the present digit, within one turn of it.
      const unsigned shift = level * digit_bits;
      const unsigned digit = static_cast<unsigned>(tick_ >> shift) % slots;
      const unsigned ahead = static_cast<unsigned>(
          std::countr_zero(std::rotr(occupied_[level], static_cast<int>(digit))));
      at = {level, (digit + ahead) % slots};
      begins = ((tick_ >> shift) + ahead) << shift;
      if (!wheel_[level][at.slot].empty()) return true;
      occupied_[level] &= ~(std::uint64_t{1} << at.slot);
    }
  }
  return false;
}

bool timer_wheel::empty() const noexcept {
  place at{};
  std::uint64_t begins = 0;
  return due_.empty() && !first_occupied(at, begins);
}

time_point timer_wheel::next_expiry() const noexcept {
  place at{};
  std::uint64_t begins = 0;
  if (!first_occupied(at, begins)) return time_point::max();
  if (at.level != 0) return time_point(duration(static_cast<std::int64_t>(begins << tick_bits)));
  time_point first = time_point::max();
  const slot_list& list = wheel_[0][at.slot];
  for (const timer_link* t = list.next; t != &list; t = t->next)
    first = std::min(first, static_cast<const timer*>(t)->deadline);
  return first;
}

timer_wheel::chain timer_wheel::take(place at) noexcept {
  occupied_[at.level] &= ~(std::uint64_t{1} << at.slot);
  slot_list& list = wheel_[at.level][at.slot];
  const chain taken{&list.first(), static_cast<timer*>(list.previous)};
  taken.last->next = nullptr;
  list.previous = list.next = &list;
  return taken;
}

void timer_wheel::expire(time_point now) noexcept {
  collect(now);
  while (!due_.empty()) fire(due_.first());
}

void timer_wheel::fire(timer& t) noexcept {
  t.unlink();
  t.expired();
}

std::size_t timer_wheel::due_together(std::size_t most) const noexcept {
  std::size_t n = 0;
  for (const timer_link* t = due_.next; t != &due_ && n < most; t = t->next, ++n)
    if (static_cast<const timer*>(t)->deadline != due_.first().deadline) break;
  return n;
}

void timer_wheel::fire(std::size_t index) noexcept {
  timer_link* t = due_.next;
  for (; index > 0; --index) t = t->next;
  fire(static_cast<timer&>(*t));
}

void timer_wheel::collect(time_point now) noexcept {
  const std::uint64_t present = tick_of(now);
  place at{};
  std::uint64_t begins = 0;
  while (first_occupied(at, begins) && begins <= present) {
    tick_ = std::max(tick_, begins);
    chain list = take(at);
    if (at.level == 0) list = sorted(list);
    bool some_later = false;  // of the present tick, but after now
    for (timer* t = list.first; t != nullptr;) {
      timer& moved = *std::exchange(t, after(*t));
      if (at.level != 0) {
        link(moved, place_of(moved.deadline));
      } else if (moved.deadline <= now) {
        due_.append(moved);
      } else {
        link(moved, at);
        some_later = true;
      }
    }
    if (some_later) return;  // nothing beyond the present tick can be due
  }
  tick_ = std::max(tick_, present);
}

timer_wheel::chain timer_wheel::sorted(chain list) noexcept {
  bool in_order = true;
  for (const timer* t = list.first; t != list.last; t = after(*t))
    if (after(*t)->deadline < t->deadline) in_order = false;
  if (in_order) return list;
  // Merge sort, stable, by halves.
  timer* middle = list.first;
  for (const timer* end = after(*list.first); end != nullptr && end->next != nullptr;
       end = after(*after(*end)))
    middle = after(*middle);
  chain right{after(*middle), list.last};
  middle->next = nullptr;
  list.last = middle;
  list = sorted(list);
  right = sorted(right);
  chain merged{nullptr, nullptr};
  while (list.first != nullptr || right.first != nullptr) {
    const bool from_right = list.first == nullptr || (right.first != nullptr &&
                                                      right.first->deadline < list.first->deadline);
    timer*& source = from_right ? right.first : list.first;
    timer* t = std::exchange(source, after(*source));
    t->next = nullptr;
    if (merged.last != nullptr) {
      merged.last->next = t;
    } else {
      merged.first = t;
    }
    merged.last = t;
  }
  return merged;
}

}  // namespace plait::detail

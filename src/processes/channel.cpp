#include "processes/channel.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

namespace plait::detail {

std::int64_t monotonic_ns() noexcept {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

message_head message_head::of(slot& s) noexcept {
  const auto once = [](auto& field) {
    return std::atomic_ref(field).load(std::memory_order_relaxed);
  };
  return {once(s.where), once(s.attached), once(s.offset),
          once(s.size),  once(s.entry),    once(s.took)};
}

std::size_t message_head::in_slot() const noexcept {
  if (where == tier::in_memfd) return sizeof(message_place);
  return where == tier::in_slot ? std::min<std::uint64_t>(size, encoder::inline_capacity) : 0;
}

// Products with odd numbers, which do not wait for each other; each bit reaches the upper half.
std::uint32_t checksum(const message_head& head, slot_state state, std::uint32_t sequence,
                       const std::byte* in_slot) noexcept {
  constexpr std::uint64_t odd = 0x9e37'79b9'7f4a'7c15;
  std::uint64_t sum = (std::uint64_t{sequence} << 32 | static_cast<std::uint32_t>(state)) * odd;
  sum += (std::uint64_t{head.offset} << 32 | std::uint32_t{head.attached} << 8 |
          static_cast<std::uint32_t>(head.where)) *
         (odd * 3);
  sum += head.size * (odd * 5) + head.entry * (odd * 7) +
         static_cast<std::uint64_t>(head.took) * (odd * 9);
  std::uint64_t factor = odd * 11;
  std::size_t n = head.in_slot();
  for (; n >= 8; n -= 8, in_slot += 8, factor += 2 * odd) {
    std::uint64_t word;
    __builtin_memcpy(&word, in_slot, sizeof word);
    sum += word * factor;
  }
  std::uint64_t rest = 0;
  for (std::size_t i = 0; i < n; ++i) rest |= std::to_integer<std::uint64_t>(in_slot[i]) << 8 * i;
  sum += rest * factor;
  return static_cast<std::uint32_t>(sum >> 32);
}

void futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t value,
                std::int64_t at_most_ns) noexcept {
  constexpr std::int64_t second = 1'000'000'000;
  const timespec span{at_most_ns / second, at_most_ns % second};
  syscall(SYS_futex, &word, FUTEX_WAIT, value, at_most_ns == INT64_MAX ? nullptr : &span, nullptr,
          0);
}

void futex_wake(std::atomic<std::uint32_t>& word) noexcept {
  syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

}  // namespace plait::detail

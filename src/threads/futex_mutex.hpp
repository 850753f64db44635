// src/threads/futex_mutex.hpp: a lock for a few instructions, a third of the price of std::mutex.
//
//   0  free
//   1  held
//   2  held, and somebody may be asleep: whoever lets go wakes one
//
// Drepper, "Futexes are tricky", the second mutex. Not recursive, not fair.
#pragma once

#include <atomic>
#include <cstdint>

namespace plait::detail {

class futex_mutex {
 public:
  void lock() noexcept {
    std::uint32_t free = 0;
    if (!word_.compare_exchange_strong(free, 1, std::memory_order_acquire,
                                       std::memory_order_relaxed)) [[unlikely]]
      lock_slowly();
  }
  void unlock() noexcept {
    if (word_.exchange(0, std::memory_order_release) == 2) [[unlikely]]
      wake_one();
  }

 private:
  void lock_slowly() noexcept;
  void wake_one() noexcept;
  std::atomic<std::uint32_t> word_{0};
};

}  // namespace plait::detail

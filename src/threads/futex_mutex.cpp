#include "threads/futex_mutex.hpp"
#include "core/relax.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace plait::detail {

void futex_mutex::lock_slowly() noexcept {
  // What is waited for lasts a few instructions, unless its holder has lost its CPU.
  for (int spins = 0; spins < 100; ++spins) {
    std::uint32_t free = 0;
    if (word_.load(std::memory_order_relaxed) == 0 &&
        word_.compare_exchange_weak(free, 1, std::memory_order_acquire, std::memory_order_relaxed))
      return;
    relax();
  }
  while (word_.exchange(2, std::memory_order_acquire) != 0)
    syscall(SYS_futex, &word_, FUTEX_WAIT_PRIVATE, 2, nullptr, nullptr, 0);
}

void futex_mutex::wake_one() noexcept {
  syscall(SYS_futex, &word_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

}  // namespace plait::detail

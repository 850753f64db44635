#include "threads/parking.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace plait::detail {

bool parking::take_parked() noexcept {
  auto n = parked_.load(std::memory_order_seq_cst);
  while (n != 0)
    if (parked_.compare_exchange_weak(n, n - 1, std::memory_order_seq_cst)) return true;
  return false;
}

bool parking::take_token() noexcept {
  auto n = tokens_.load(std::memory_order_acquire);
  while (n != 0)
    if (tokens_.compare_exchange_weak(n, n - 1, std::memory_order_acquire)) return true;
  return false;
}

bool parking::wake_one() noexcept {
  if (!take_parked()) return false;
  searching_.fetch_add(1, std::memory_order_seq_cst);
  tokens_.fetch_add(1, std::memory_order_release);
  syscall(SYS_futex, &tokens_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
  return true;
}

void parking::wake_all() noexcept {
  while (wake_one()) {
  }
}

void parking::abandon() noexcept {
  if (take_parked()) {
    searching_.fetch_add(1, std::memory_order_seq_cst);
  } else {
    sleep();  // somebody has just woken us: take the token meant for us
  }
}

bool parking::sleep(duration longest) noexcept {
  timespec span{};
  if (longest != duration::max())
    span = {.tv_sec = longest.count() / 1'000'000'000, .tv_nsec = longest.count() % 1'000'000'000};
  while (!take_token()) {
    const long rc = syscall(SYS_futex, &tokens_, FUTEX_WAIT_PRIVATE, 0,
                            longest != duration::max() ? &span : nullptr, nullptr, 0);
    if (rc == -1 && errno == ETIMEDOUT) {
      if (take_parked()) return false;
      longest = duration::max();  // woken at the last moment: the token is there or on its way
    }
  }
  return true;
}

}  // namespace plait::detail

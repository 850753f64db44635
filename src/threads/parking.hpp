// src/threads/parking.hpp: where idle workers sleep, and the rule that wakes exactly enough.
//
// A worker is working, searching (awake, looking for work) or parked. Rules:
// P1  Who adds work calls notify() afterwards. It wakes one parked worker, unless someone searches
//     already: that one will find the work, or look once more before it parks (P3).
// P2  A searcher that finds work and was the last one searching calls notify() again: there may be
//     more, and wake-ups travel as a chain instead of a storm.
// P3  A worker parks in this order: prepare() (no longer searching, counted as parked), look at
//     every queue once more, then sleep() or abandon().
// The counters are sequentially consistent, and so must be the store that makes work visible (P1)
// and the last look (P3): then either notify() sees the parked worker or its last look sees the
// work.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdint>

namespace plait::detail {

class parking {
 public:
  void notify() noexcept {
    if (parked_.load(std::memory_order_seq_cst) != 0 &&
        searching_.load(std::memory_order_seq_cst) == 0)
      wake_one();
  }
  void wake_all() noexcept {
    while (take_parked()) hand_token(INT_MAX);
  }

  void begin_search() noexcept { searching_.fetch_add(1, std::memory_order_seq_cst); }
  // The searcher found work; P2.
  void end_search() noexcept {
    if (searching_.fetch_sub(1, std::memory_order_seq_cst) == 1) notify();
  }
  // From searching to parked; P3.
  void prepare() noexcept {
    parked_.fetch_add(1, std::memory_order_seq_cst);
    searching_.fetch_sub(1, std::memory_order_seq_cst);
  }
  // From parked back to searching, without having slept.
  void abandon() noexcept {
    if (take_parked())
      searching_.fetch_add(1, std::memory_order_seq_cst);
    else
      sleep();  // somebody has just woken us: take the token meant for us
  }
  // Sleeps until woken; returns as a searcher (the waker has counted us so).
  void sleep() noexcept {
    for (;;) {
      auto tokens = tokens_.load(std::memory_order_acquire);
      while (tokens > 0)
        if (tokens_.compare_exchange_weak(tokens, tokens - 1, std::memory_order_acquire)) return;
      syscall(SYS_futex, &tokens_, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
    }
  }
  std::uint32_t parked() const noexcept { return parked_.load(std::memory_order_seq_cst); }

 private:
  bool take_parked() noexcept {
    auto n = parked_.load(std::memory_order_seq_cst);
    while (n != 0)
      if (parked_.compare_exchange_weak(n, n - 1, std::memory_order_seq_cst)) return true;
    return false;
  }
  void wake_one() noexcept {
    if (take_parked()) hand_token(1);
  }
  void hand_token(int wake) noexcept {
    searching_.fetch_add(1, std::memory_order_seq_cst);
    tokens_.fetch_add(1, std::memory_order_release);
    syscall(SYS_futex, &tokens_, FUTEX_WAKE_PRIVATE, wake, nullptr, nullptr, 0);
  }

  alignas(64) std::atomic<std::uint32_t> parked_{0};
  std::atomic<std::uint32_t> searching_{0};
  std::atomic<std::uint32_t> tokens_{0};
};

}  // namespace plait::detail

// src/threads/parking.hpp: where idle workers sleep, and how exactly enough of them are woken.
//
// A worker is working, searching (awake, looking for work) or parked. Rules:
// P1  Who adds work looks afterwards whether anybody searches. If so, that worker will find the work
//     or look once more before it parks (P3). If not, one parked worker is woken.
// P2  A searcher that finds work and was the last one searching does the same: there may be more,
//     and wake-ups travel as a chain instead of a storm.
// P3  A worker parks in this order: prepare() (counted as parked, no longer as searching), look at
//     every queue once more, then sleep() or abandon().
// The counters are sequentially consistent, and so must be the store that makes work visible (P1)
// and the last look (P3): then either the one who adds work sees the parked worker, or that worker's
// last look sees the work.
#pragma once

#include <atomic>
#include <cstdint>

#include "plait/core/clock.hpp"

namespace plait::detail {

class parking {
 public:
  std::uint32_t searching() const noexcept { return searching_.load(std::memory_order_seq_cst); }
  std::uint32_t parked() const noexcept { return parked_.load(std::memory_order_seq_cst); }

  // Wakes one parked worker, who returns from sleep() as a searcher; false if there is none.
  bool wake_one() noexcept;
  void wake_all() noexcept;

  void begin_search() noexcept { searching_.fetch_add(1, std::memory_order_seq_cst); }
  // Returns whether this was the last searcher (P2).
  bool end_search() noexcept { return searching_.fetch_sub(1, std::memory_order_seq_cst) == 1; }
  // From searching to parked; P3.
  void prepare() noexcept {
    parked_.fetch_add(1, std::memory_order_seq_cst);
    searching_.fetch_sub(1, std::memory_order_seq_cst);
  }
  // From parked back to searching, without having slept.
  void abandon() noexcept;
  // Sleeps until woken: then the worker is a searcher and the result is true. After `longest` it is
  // neither parked nor searching any more and the result is false.
  bool sleep(duration longest = duration::max()) noexcept;

 private:
  bool take_parked() noexcept;
  bool take_token() noexcept;

  alignas(64) std::atomic<std::uint32_t> parked_{0};
  std::atomic<std::uint32_t> searching_{0};
  std::atomic<std::uint32_t> tokens_{0};  // wake-ups sent and not yet received
};

}  // namespace plait::detail

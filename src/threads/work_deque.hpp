// src/threads/work_deque.hpp: the jobs of one worker: its owner pushes and pops, others steal.
//
// Chase and Lev, "Dynamic circular work-stealing deque" (SPAA 2005), with the memory orders of Lê
// et al., "Correct and efficient work-stealing for weak memory models" (PPoPP 2013), except that
// sequentially consistent operations stand in for the fences, which ThreadSanitizer cannot see.
// Fixed capacity: when full, push says no and the job goes to the shared queue.
//
//   owner   push, pop at `bottom_`      newest first
//   thief   steal at `top_`             oldest first
//   The last job is decided between them by a CAS on `top_`.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "plait/core/job.hpp"

namespace plait::detail {

class work_deque {
 public:
  static constexpr std::int64_t capacity = 256;

  bool push(job& j) noexcept {
    const auto bottom = bottom_.load(std::memory_order_relaxed);
    if (bottom - top_.load(std::memory_order_acquire) >= capacity) return false;
    slot(bottom).store(&j, std::memory_order_relaxed);
    // Not only release: it must be seen before call_for_help() looks for parked workers (P1).
    bottom_.store(bottom + 1, std::memory_order_seq_cst);
    return true;
  }

  // `count` at once, onto an empty deque, which must have room for them: jobs[0] pops first.
  void push_all(job* const* jobs, std::size_t count) noexcept {
    auto bottom = bottom_.load(std::memory_order_relaxed);
    while (count-- != 0) slot(bottom++).store(jobs[count], std::memory_order_relaxed);
    bottom_.store(bottom, std::memory_order_seq_cst);
  }

  job* pop() noexcept {
    const auto bottom = bottom_.load(std::memory_order_relaxed) - 1;
    if (bottom < top_.load(std::memory_order_relaxed)) return nullptr;  // empty, as only we push
    return take_newest(bottom);
  }

  // The owner pops `j` if it is the newest.
  bool pop_if(const job& j) noexcept {
    const auto bottom = bottom_.load(std::memory_order_relaxed) - 1;
    return bottom >= top_.load(std::memory_order_relaxed) &&
           slot(bottom).load(std::memory_order_relaxed) == &j && take_newest(bottom) != nullptr;
  }

  job* steal() noexcept {
    auto top = top_.load(std::memory_order_seq_cst);
    const auto bottom = bottom_.load(std::memory_order_seq_cst);
    if (top >= bottom) return nullptr;
    job* taken = slot(top).load(std::memory_order_relaxed);
    return top_.compare_exchange_strong(top, top + 1, std::memory_order_seq_cst) ? taken : nullptr;
  }

  bool empty() const noexcept {
    return top_.load(std::memory_order_seq_cst) >= bottom_.load(std::memory_order_seq_cst);
  }
  std::int64_t size() const noexcept {
    const auto n = bottom_.load(std::memory_order_relaxed) - top_.load(std::memory_order_relaxed);
    return n > 0 ? n : 0;
  }

 private:
  job* take_newest(std::int64_t bottom) noexcept {
    bottom_.store(bottom, std::memory_order_seq_cst);
    auto top = top_.load(std::memory_order_seq_cst);
    job* taken = nullptr;
    if (top <= bottom) {
      taken = slot(bottom).load(std::memory_order_relaxed);
      if (top != bottom) return taken;
      if (!top_.compare_exchange_strong(top, top + 1, std::memory_order_seq_cst)) taken = nullptr;
    }
    bottom_.store(bottom + 1, std::memory_order_relaxed);
    return taken;
  }
  std::atomic<job*>& slot(std::int64_t i) noexcept {
    return slots_[static_cast<std::size_t>(i) % capacity];
  }
  alignas(64) std::atomic<std::int64_t> top_{0};
  alignas(64) std::atomic<std::int64_t> bottom_{0};
  std::array<std::atomic<job*>, capacity> slots_{};
};

}  // namespace plait::detail

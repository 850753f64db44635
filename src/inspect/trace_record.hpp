// src/inspect/trace_record.hpp: what engines tell a trace, and where it waits to be written.
//
// Each thread has a ring of records that it alone fills and the writer alone empties. A full ring
// loses the record and counts it: nobody waits for a disk.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "inspect/activity.hpp"

namespace plait::detail {

struct trace_record {
  enum class kind : std::uint8_t { slice, task_begins, task_ends, worker_call };
  kind what = kind::slice;
  int worker = 0;              // worker_call: its process
  std::int64_t began = 0;      // monotonic_time()
  std::int64_t took = 0;       // slice, worker_call
  const void* task = nullptr;  // task_begins, task_ends
  origin_copy origin;
};

// Each only when watched_by(watcher::trace).
void add_to_trace(const trace_record& record) noexcept;

class trace_ring {
 public:
  static constexpr std::size_t capacity = 4096;
  trace_ring(int tid, const char* name) noexcept;
  const int tid;
  char name[16];
  std::atomic<bool> ended{false};  // its thread has

  // The thread. Returns how full it is now; 0 if there was no room.
  std::size_t push(const trace_record& record) noexcept {
    const auto head = head_.load(std::memory_order_relaxed);
    const auto used = head - tail_.load(std::memory_order_acquire);
    if (used == capacity) return 0;
    records_[head % capacity] = record;
    head_.store(head + 1, std::memory_order_release);
    return used + 1;
  }
  // The writer: the oldest, or null; it stays until pop().
  const trace_record* front() const noexcept {
    const auto tail = tail_.load(std::memory_order_relaxed);
    return tail == head_.load(std::memory_order_acquire) ? nullptr : &records_[tail % capacity];
  }
  void pop() noexcept { tail_.fetch_add(1, std::memory_order_release); }
  void clear() noexcept { tail_.store(head_.load(std::memory_order_acquire)); }

 private:
  alignas(64) std::atomic<std::size_t> head_{0};
  alignas(64) std::atomic<std::size_t> tail_{0};
  std::unique_ptr<trace_record[]> records_{new trace_record[capacity]};
};

}  // namespace plait::detail

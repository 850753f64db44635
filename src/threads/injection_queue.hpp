// src/threads/injection_queue.hpp: calls from outside a pool, by priority, then first in first out.
//
// Workers take them in batches, so that the lock is rarely contended.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>

#include "plait/core/call_options.hpp"
#include "threads/futex_mutex.hpp"
#include "threads/work_deque.hpp"

namespace plait::detail {

class injection_queue {
 public:
  // From outside: false when closed. What a running call submits is part of what a shutdown waits
  // for, so it is let in.
  enum class origin { outside, running_call };
  bool push(job& j, call_priority priority, origin from) noexcept {
    const std::lock_guard hold(mutex_);
    if (closed_ && from == origin::outside) return false;
    lane& l = lanes_[static_cast<std::size_t>(priority)];
    j.next = nullptr;
    (l.head != nullptr ? l.last->next : l.head) = &j;
    l.last = &j;
    count(l, 1);
    return true;
  }
  // Returns the first, and pushes up to a batch of the same priority onto the empty `to`, so that
  // they pop in order.
  job* take(work_deque& to, std::size_t workers) noexcept {
    if (empty()) return nullptr;
    job* batch[max_batch];
    std::size_t n = 0;
    {
      const std::lock_guard hold(mutex_);
      lane* first = first_lane();
      if (first == nullptr) return nullptr;
      const std::size_t share = size_.load(std::memory_order_relaxed) / (2 * workers + 1) + 1;
      const std::size_t most = std::min(share, max_batch);
      job* j = first->head;
      for (; n < most && j != nullptr; j = j->next) batch[n++] = j;
      first->head = j;
      count(*first, std::size_t(0) - n);
    }
    if (n > 1) to.push_all(batch + 1, n - 1);
    return batch[0];
  }
  // A job of high priority, which goes before what workers hold in their deques.
  job* take_urgent() noexcept {
    if (urgent_.load(std::memory_order_relaxed) == 0) return nullptr;
    const std::lock_guard hold(mutex_);
    return unlink(lanes_.front());
  }
  job* take_one() noexcept {
    const std::lock_guard hold(mutex_);
    lane* first = first_lane();
    return first != nullptr ? unlink(*first) : nullptr;
  }
  void close() noexcept {
    const std::lock_guard hold(mutex_);
    closed_ = true;
  }
  std::size_t size() const noexcept { return size_.load(std::memory_order_seq_cst); }
  bool empty() const noexcept { return size() == 0; }

 private:
  static constexpr std::size_t max_batch = 64;
  struct lane {
    job* head = nullptr;
    job* last = nullptr;
  };
  lane* first_lane() noexcept {
    for (lane& l : lanes_)
      if (l.head != nullptr) return &l;
    return nullptr;
  }
  job* unlink(lane& l) noexcept {
    job* first = l.head;
    if (first == nullptr) return nullptr;
    l.head = first->next;
    count(l, std::size_t(-1));
    return first;
  }
  // `n` more, or fewer, in that lane.
  void count(const lane& l, std::size_t n) noexcept {
    if (&l == &lanes_.front()) add(urgent_, n);
    add(size_, n);
  }
  // Written under the mutex only, so a load and a store will do.
  static void add(std::atomic<std::size_t>& count, std::size_t n) noexcept {
    count.store(count.load(std::memory_order_relaxed) + n, std::memory_order_seq_cst);
  }
  futex_mutex mutex_;
  bool closed_ = false;
  std::array<lane, 3> lanes_;  // by call_priority
  std::atomic<std::size_t> size_{0}, urgent_{0};
};

}  // namespace plait::detail

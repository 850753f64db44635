// benchmarks/peers/ring_pool.hpp: near the least that one producer and its workers can cost.
//
// Records of one cache line in an array, published 32 at a time, claimed in ranges of up to 64.
// Nothing is allocated for a task, and the workers spin: a limit, not a product.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

class ring_pool {
 public:
  ring_pool(int workers, long capacity) : records_(new record[static_cast<std::size_t>(capacity)]) {
    for (int i = 0; i < workers; ++i) threads_.emplace_back([this] { work(); });
  }

  ~ring_pool() {
    stop_ = true;
    for (auto& thread : threads_) thread.join();
  }

  ring_pool(const ring_pool&) = delete;
  ring_pool& operator=(const ring_pool&) = delete;

  long submit(int (*function)(long), long argument) {
    record& next = records_[submitted_];
    next.function = function;
    next.argument = argument;
    next.done.store(false, std::memory_order_relaxed);
    const long ticket = submitted_++;
    if (submitted_ % publish_every == 0) publish();
    return ticket;
  }

  void publish() { published_.store(submitted_, std::memory_order_release); }

  int get(long ticket) {
    record& wanted = records_[ticket];
    while (!wanted.done.load(std::memory_order_acquire)) _mm_pause();
    return wanted.value;
  }

  // Only when every submitted call has been read. The workers see claimed >= published throughout.
  void reset() {
    published_ = 0;
    submitted_ = 0;
    claimed_ = 0;
  }

 private:
  static constexpr long publish_every = 32;
  static constexpr long claim_at_most = 64;

  struct alignas(64) record {
    int (*function)(long) = nullptr;
    long argument = 0;
    std::atomic<bool> done{false};
    int value = 0;
  };

  void work() {
    while (!stop_.load(std::memory_order_relaxed)) {
      long first = claimed_.load(std::memory_order_relaxed);
      const long end = published_.load(std::memory_order_acquire);
      if (first >= end) {
        _mm_pause();
        continue;
      }
      const long last = first + std::min(end - first, claim_at_most);
      if (!claimed_.compare_exchange_weak(first, last, std::memory_order_relaxed)) continue;
      for (long i = first; i < last; ++i) {
        record& mine = records_[i];
        mine.value = mine.function(mine.argument);
        mine.done.store(true, std::memory_order_release);
      }
    }
  }

  std::unique_ptr<record[]> records_;
  long submitted_ = 0;
  alignas(64) std::atomic<long> published_{0};
  alignas(64) std::atomic<long> claimed_{0};
  alignas(64) std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

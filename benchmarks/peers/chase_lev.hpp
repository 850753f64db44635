// benchmarks/peers/chase_lev.hpp: the least that fork-join by child stealing can cost.
//
// One Chase-Lev deque a thread (Chase and Lev 2005, orderings of Le et al. 2013) of fixed size; a
// forked child's record lies on its parent's stack, so nothing is allocated. Idle threads spin.
#pragma once

#include <immintrin.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace chase_lev {

struct job {
  void (*run)(job*) = nullptr;
  std::atomic<bool> done{false};
};

class alignas(64) deque {
 public:
  void push(job* pushed) {
    const long bottom = bottom_.load(std::memory_order_relaxed);
    slots_[bottom & mask].store(pushed, std::memory_order_relaxed);
    bottom_.store(bottom + 1, std::memory_order_release);
  }

  job* pop() {
    const long bottom = bottom_.load(std::memory_order_relaxed) - 1;
    bottom_.store(bottom, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    long top = top_.load(std::memory_order_relaxed);
    job* popped = nullptr;
    if (top <= bottom) {
      popped = slots_[bottom & mask].load(std::memory_order_relaxed);
      if (top < bottom) return popped;
      if (!top_.compare_exchange_strong(top, top + 1, std::memory_order_seq_cst)) popped = nullptr;
    }
    bottom_.store(bottom + 1, std::memory_order_relaxed);
    return popped;
  }

  job* steal() {
    long top = top_.load(std::memory_order_acquire);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (top >= bottom_.load(std::memory_order_acquire)) return nullptr;
    job* stolen = slots_[top & mask].load(std::memory_order_relaxed);
    const bool won = top_.compare_exchange_strong(top, top + 1, std::memory_order_seq_cst);
    return won ? stolen : nullptr;
  }

 private:
  static constexpr long size = 4096;
  static constexpr long mask = size - 1;

  std::atomic<long> top_{0};
  std::atomic<long> bottom_{0};
  std::atomic<job*> slots_[size];
};

class scheduler {
 public:
  explicit scheduler(int workers)
      : workers_(workers), deques_(new deque[static_cast<std::size_t>(workers)]) {
    for (int i = 1; i < workers; ++i)
      threads_.emplace_back([this, i] {
        me_ = i;
        while (!stop_.load(std::memory_order_relaxed)) help();
      });
  }

  ~scheduler() {
    stop_ = true;
    for (auto& thread : threads_) thread.join();
  }

  scheduler(const scheduler&) = delete;
  scheduler& operator=(const scheduler&) = delete;

  deque& mine() { return deques_[me_]; }

  void help() {
    for (int i = 1; i < workers_; ++i)
      if (job* stolen = deques_[(me_ + i) % workers_].steal()) return stolen->run(stolen);
    _mm_pause();
  }

 private:
  inline static thread_local int me_ = 0;  // the thread that makes the scheduler is number 0

  int workers_;
  std::unique_ptr<deque[]> deques_;
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

}  // namespace chase_lev

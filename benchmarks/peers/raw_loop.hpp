// benchmarks/peers/raw_loop.hpp: the least that a C++20 coroutine loop can be. A limit, not a
// product: no errors, no cancellation, one thread.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <utility>
#include <vector>

namespace raw {

// Frames come from free lists, one for each multiple of 64 bytes.
class frame_pool {
 public:
  void* take(std::size_t bytes) {
    const std::size_t bin = (bytes + 63) / 64;
    if (bin >= bins) return std::malloc(bytes);
    void* block = free_[bin];
    if (block == nullptr) return std::malloc(bin * 64);
    free_[bin] = *static_cast<void**>(block);
    return block;
  }

  void give_back(void* block, std::size_t bytes) {
    const std::size_t bin = (bytes + 63) / 64;
    if (bin >= bins) return std::free(block);
    *static_cast<void**>(block) = free_[bin];
    free_[bin] = block;
  }

 private:
  static constexpr std::size_t bins = 64;
  void* free_[bins] = {};
};

inline frame_pool frames;

struct pooled_frame {
  static void* operator new(std::size_t bytes) { return frames.take(bytes); }
  static void operator delete(void* block, std::size_t bytes) { frames.give_back(block, bytes); }
};

// Lazy, awaited once, resumes its awaiter by symmetric transfer.
template <class T>
class task {
 public:
  struct promise_type : pooled_frame {
    struct resume_awaiter {
      bool await_ready() noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> self) noexcept {
        return self.promise().awaiter;
      }
      void await_resume() noexcept {}
    };

    task get_return_object() {
      return task{std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    resume_awaiter final_suspend() noexcept { return {}; }
    void return_value(T returned) { value = std::move(returned); }
    void unhandled_exception() { std::terminate(); }

    std::coroutine_handle<> awaiter;
    T value;
  };

  explicit task(std::coroutine_handle<promise_type> frame) : frame_(frame) {}
  task(task&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  ~task() {
    if (frame_) frame_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiter) noexcept {
    frame_.promise().awaiter = awaiter;
    return frame_;
  }
  T await_resume() { return std::move(frame_.promise().value); }

 private:
  std::coroutine_handle<promise_type> frame_;
};

// Starts at once and frees itself.
struct detached {
  struct promise_type : pooled_frame {
    detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

class ready_ring {
 public:
  bool empty() const { return first_ == end_; }
  std::size_t size() const { return end_ - first_; }

  void push(std::coroutine_handle<> handle) {
    if (size() == slots_.size()) grow();
    slots_[end_++ & (slots_.size() - 1)] = handle;
  }

  std::coroutine_handle<> pop() { return slots_[first_++ & (slots_.size() - 1)]; }

 private:
  void grow() {
    std::vector<std::coroutine_handle<>> larger(slots_.size() * 2);
    for (std::size_t i = first_; i != end_; ++i)
      larger[i - first_] = slots_[i & (slots_.size() - 1)];
    end_ -= first_;
    first_ = 0;
    slots_.swap(larger);
  }

  std::vector<std::coroutine_handle<>> slots_ = std::vector<std::coroutine_handle<>>(1024);
  std::size_t first_ = 0;
  std::size_t end_ = 0;
};

inline std::int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

class sleeper_heap {  // a 4-ary heap by due time
 public:
  struct sleeper {
    std::int64_t due_ns;
    std::coroutine_handle<> handle;
  };

  bool empty() const { return heap_.empty(); }
  const sleeper& next() const { return heap_.front(); }

  void push(sleeper added) {
    std::size_t i = heap_.size();
    heap_.push_back(added);
    for (; i != 0 && heap_[(i - 1) / 4].due_ns > added.due_ns; i = (i - 1) / 4)
      heap_[i] = heap_[(i - 1) / 4];
    heap_[i] = added;
  }

  sleeper pop() {
    const sleeper popped = heap_.front();
    const sleeper moved = heap_.back();
    heap_.pop_back();
    if (!heap_.empty()) sift_down(moved);
    return popped;
  }

 private:
  void sift_down(sleeper moved) {
    const std::size_t size = heap_.size();
    std::size_t i = 0;
    for (;;) {
      const std::size_t first = 4 * i + 1;
      if (first >= size) break;
      std::size_t least = first;
      for (std::size_t k = first + 1; k < first + 4 && k < size; ++k)
        if (heap_[k].due_ns < heap_[least].due_ns) least = k;
      if (heap_[least].due_ns >= moved.due_ns) break;
      heap_[i] = heap_[least];
      i = least;
    }
    heap_[i] = moved;
  }

  std::vector<sleeper> heap_;
};

class loop {
 public:
  struct yield_awaiter {
    loop& home;
    bool await_ready() noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) { home.resume_later(handle); }
    void await_resume() noexcept {}
  };
  struct sleep_awaiter {
    loop& home;
    std::int64_t due_ns;
    bool await_ready() noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) { home.sleepers_.push({due_ns, handle}); }
    void await_resume() noexcept {}
  };

  yield_awaiter yield() { return {*this}; }
  sleep_awaiter sleep_ns(std::int64_t duration) { return {*this, now_ns() + duration}; }
  void resume_later(std::coroutine_handle<> handle) { ready_.push(handle); }

  void run() {
    while (!ready_.empty() || !sleepers_.empty()) {
      for (std::size_t turn = ready_.size(); turn != 0; --turn) ready_.pop().resume();
      if (!sleepers_.empty()) wake_sleepers();
    }
  }

 private:
  void wake_sleepers() {
    const std::int64_t due = sleepers_.next().due_ns;
    std::int64_t now = now_ns();
    if (due > now && ready_.empty()) {
      const timespec until{due / 1'000'000'000, due % 1'000'000'000};
      clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
      now = now_ns();
    }
    while (!sleepers_.empty() && sleepers_.next().due_ns <= now)
      ready_.push(sleepers_.pop().handle);
  }

  ready_ring ready_;
  sleeper_heap sleepers_;
};

struct waiter {
  std::coroutine_handle<> handle;
  waiter* next = nullptr;
  int value = 0;
};

class waiter_list {
 public:
  bool empty() const { return first_ == nullptr; }
  void push(waiter* added) {
    added->next = nullptr;
    *end_ = added;
    end_ = &added->next;
  }
  waiter* pop() {
    waiter* popped = first_;
    first_ = popped->next;
    if (first_ == nullptr) end_ = &first_;
    return popped;
  }

 private:
  waiter* first_ = nullptr;
  waiter** end_ = &first_;
};

class semaphore {
 public:
  struct acquire_awaiter : waiter {
    explicit acquire_awaiter(semaphore& of) : wanted(of) {}
    bool await_ready() {
      if (wanted.permits_ == 0) return false;
      --wanted.permits_;
      return true;
    }
    void await_suspend(std::coroutine_handle<> suspended) {
      handle = suspended;
      wanted.waiting_.push(this);
    }
    void await_resume() {}
    semaphore& wanted;
  };

  semaphore(loop& home, int permits) : home_(home), permits_(permits) {}

  acquire_awaiter acquire() { return acquire_awaiter{*this}; }
  void release() {
    if (waiting_.empty())
      ++permits_;
    else
      home_.resume_later(waiting_.pop()->handle);
  }

 private:
  loop& home_;
  int permits_;
  waiter_list waiting_;
};

class queue {
 public:
  struct put_awaiter : waiter {
    put_awaiter(queue& into, int item) : to(into) { value = item; }
    bool await_ready() {
      if (!to.receivers_.empty()) {
        waiter* receiver = to.receivers_.pop();
        receiver->value = value;
        to.home_.resume_later(receiver->handle);
        return true;
      }
      if (to.full()) return false;
      to.append(value);
      return true;
    }
    void await_suspend(std::coroutine_handle<> suspended) {
      handle = suspended;
      to.senders_.push(this);
    }
    void await_resume() {}
    queue& to;
  };

  struct get_awaiter : waiter {
    explicit get_awaiter(queue& out_of) : from(out_of) {}
    bool await_ready() {
      if (from.first_ == from.end_) return false;
      value = from.items_[from.first_++ % from.items_.size()];
      if (!from.senders_.empty()) {
        waiter* sender = from.senders_.pop();
        from.append(sender->value);
        from.home_.resume_later(sender->handle);
      }
      return true;
    }
    void await_suspend(std::coroutine_handle<> suspended) {
      handle = suspended;
      from.receivers_.push(this);
    }
    int await_resume() { return value; }
    queue& from;
  };

  queue(loop& home, std::size_t capacity) : home_(home), items_(capacity) {}

  put_awaiter put(int item) { return {*this, item}; }
  get_awaiter get() { return get_awaiter{*this}; }

 private:
  bool full() const { return end_ - first_ == items_.size(); }
  void append(int item) { items_[end_++ % items_.size()] = item; }

  loop& home_;
  std::vector<int> items_;
  std::size_t first_ = 0;
  std::size_t end_ = 0;
  waiter_list senders_;
  waiter_list receivers_;
};

}  // namespace raw

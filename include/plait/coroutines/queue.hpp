// plait/coroutines/queue.hpp: items between tasks, bounded, in order.
//
//   plait::queue<job> queue{10};
//   co_await queue.put(job);              // waits while the queue is full
//   job next = co_await queue.get();      // waits while it is empty
//
// Threads:  belongs to one loop.
// Order:    items first in, first out; waiting tasks first come, first served.
// Stops:    a stopped put has not added its item, a stopped get has not taken one.
// Throws:   put_nowait: queue_full; get_nowait: queue_empty; task_done: invalid_state when called
//           more often than there were items.
// Cost:     no allocation an item beyond the buffer, which doubles up to `maxsize`.
// Example:  examples/coroutines/queue.cpp
#pragma once

#include <coroutine>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "plait/core/errors.hpp"
#include "plait/coroutines/context.hpp"

namespace plait {

class queue_full : public error {
 public:
  queue_full() : error("the queue is full") {}
};
class queue_empty : public error {
 public:
  queue_empty() : error("the queue is empty") {}
};

namespace detail {

// A growing ring of items; capacities are powers of two.
template <class T>
class item_ring {
 public:
  std::size_t size() const noexcept { return count_; }
  void push(T item) {
    if (count_ == slots_.size()) grow();
    slots_[(head_ + count_) & (slots_.size() - 1)].emplace(std::move(item));
    ++count_;
  }
  T pop() {
    auto& slot = slots_[head_];
    T item = *std::move(slot);
    slot.reset();
    head_ = (head_ + 1) & (slots_.size() - 1);
    --count_;
    return item;
  }

 private:
  void grow() {
    std::vector<std::optional<T>> larger(slots_.empty() ? 8 : slots_.size() * 2);
    for (std::size_t i = 0; i < count_; ++i)
      larger[i] = std::move(slots_[(head_ + i) & (slots_.size() - 1)]);
    slots_ = std::move(larger);
    head_ = 0;
  }
  std::vector<std::optional<T>> slots_;
  std::size_t head_ = 0, count_ = 0;
};

// Waits until every item has been marked done.
class join_awaiter final : public waiter {
 public:
  join_awaiter(std::size_t& unfinished, job_list<join_awaiter>& waiting) noexcept
      : unfinished_(unfinished), waiting_(waiting) {}
  bool await_ready() const noexcept { return false; }
  template <flow_promise P>
  bool await_suspend(std::coroutine_handle<P> frame) noexcept {
    if (!suspend(frame)) return false;
    if (unfinished_ == 0) {
      unsuspend();
      return false;
    }
    waiting_.push(*this);
    return true;
  }
  void await_resume() const { check(); }
  std::string waits_for() const override { return "the items of a queue to be done"; }
  void finished() noexcept { resume_soon(); }
  void abandon() noexcept { give_up(); }

 private:
  void stop() noexcept override {
    waiting_.remove(*this);
    give_up();
  }
  std::size_t& unfinished_;
  job_list<join_awaiter>& waiting_;
};

}  // namespace detail

template <class T>
class queue {
 public:
  // At most `maxsize` items; 0 for no limit.
  explicit queue(std::size_t maxsize = 0) noexcept : maxsize_(maxsize) {}
  queue(const queue&) = delete;
  queue& operator=(const queue&) = delete;
  // Tasks that still wait on it are cancelled.
  ~queue() {
    while (auto* w = putting_.pop()) w->abandon();
    while (auto* w = getting_.pop()) w->abandon();
    while (auto* w = joining_.pop()) w->abandon();
  }

  class putter;
  class getter;
  [[nodiscard]] putter put(T item) { return putter(*this, std::move(item)); }
  [[nodiscard]] getter get() noexcept { return getter(*this); }
  void put_nowait(T item) {
    if (full()) throw queue_full();
    add(std::move(item));
  }
  T get_nowait() {
    if (empty()) throw queue_empty();
    return take();
  }

  // A consumer says that it has finished with an item that it got.
  void task_done() {
    if (unfinished_ == 0) throw invalid_state("task_done() called more often than items were put");
    if (--unfinished_ != 0) return;
    while (auto* j = joining_.pop()) j->finished();
  }
  // Waits until task_done() has been called for every item put so far.
  [[nodiscard]] auto join() noexcept { return detail::join_awaiter(unfinished_, joining_); }

  std::size_t size() const noexcept { return items_.size(); }
  bool empty() const noexcept { return items_.size() == 0; }
  bool full() const noexcept { return maxsize_ != 0 && items_.size() >= maxsize_; }
  std::size_t maxsize() const noexcept { return maxsize_; }

 private:
  // With room: to the getter that waits longest, else into the buffer.
  void add(T item) {
    if (getter* g = getting_.pop()) {
      g->deliver(std::move(item));
    } else {
      items_.push(std::move(item));
    }
    ++unfinished_;
  }
  // With an item there: the oldest; its place goes to the putter that waits longest.
  T take() {
    T item = items_.pop();
    if (putter* p = putting_.pop()) {
      items_.push(std::move(p->item_));
      ++unfinished_;
      p->resume_soon();
    }
    return item;
  }

  std::size_t maxsize_;
  std::size_t unfinished_ = 0;
  detail::item_ring<T> items_;
  detail::job_list<putter> putting_;  // not empty only while the buffer is full
  detail::job_list<getter> getting_;  // not empty only while the buffer is empty
  detail::job_list<detail::join_awaiter> joining_;
};

template <class T>
class queue<T>::putter final : public detail::waiter {
 public:
  putter(queue& q, T item) : queue_(q), item_(std::move(item)) {}
  putter(putter&& other) : queue_(other.queue_), item_(std::move(other.item_)) {}
  bool await_ready() const noexcept { return false; }
  template <detail::flow_promise P>
  bool await_suspend(std::coroutine_handle<P> frame) {
    if (!suspend(frame)) return false;
    if (queue_.full()) {
      queue_.putting_.push(*this);
      return true;
    }
    unsuspend();
    queue_.add(std::move(item_));
    return false;
  }
  void await_resume() const { check(); }
  std::string waits_for() const override { return "a place in a full queue"; }

 private:
  friend queue;
  void abandon() noexcept { give_up(); }
  void stop() noexcept override {
    queue_.putting_.remove(*this);
    give_up();
  }
  queue& queue_;
  T item_;
};

template <class T>
class queue<T>::getter final : public detail::waiter {
 public:
  explicit getter(queue& q) noexcept : queue_(q) {}
  bool await_ready() const noexcept { return false; }
  template <detail::flow_promise P>
  bool await_suspend(std::coroutine_handle<P> frame) {
    if (!suspend(frame)) return false;
    if (queue_.empty()) {
      queue_.getting_.push(*this);
      return true;
    }
    unsuspend();
    item_.emplace(queue_.take());
    return false;
  }
  T await_resume() {
    check();
    return *std::move(item_);
  }
  std::string waits_for() const override { return "an item of an empty queue"; }

 private:
  friend queue;
  void abandon() noexcept { give_up(); }
  void deliver(T item) {
    item_.emplace(std::move(item));
    resume_soon();
  }
  void stop() noexcept override {
    queue_.getting_.remove(*this);
    give_up();
  }
  queue& queue_;
  std::optional<T> item_;
};

}  // namespace plait

// plait/coroutines/queue.hpp: items between tasks, bounded, in order.
//
//   plait::queue<job> queue{10};
//   co_await queue.put(job);                            // waits while the queue is full
//   job next = co_await queue.get();                    // waits while it is empty
//   queue.close();                                      // no more will be put
//   while (auto job = co_await queue.next()) work(*job);  // until it is closed and empty
//
// lifo_queue.hpp and priority_queue.hpp give the items in other orders.
//
// Threads:  belongs to one loop.
// Order:    items first in, first out; waiting tasks first come, first served.
// Stops:    a stopped put has not added its item, a stopped get has not taken one.
// Throws:   put: queue_closed; put_nowait: queue_full too. get: queue_closed once it is closed and
//           empty; get_nowait: queue_empty too. task_done: invalid_state when called more often
//           than there were items.
// Cost:     no allocation an item beyond the buffer, which doubles up to `maxsize`.
// Example:  examples/coroutines/queue.cpp
#pragma once

#include <coroutine>
#include <cstddef>
#include <optional>
#include <utility>

#include "plait/core/errors.hpp"
#include "plait/coroutines/event.hpp"
#include "plait/coroutines/item_ring.hpp"
#include "plait/coroutines/wait_list.hpp"

namespace plait {

class queue_full : public error {
 public:
  queue_full() : error("the queue is full") {}
};
class queue_empty : public error {
 public:
  queue_empty() : error("the queue is empty") {}
};
class queue_closed : public error {
 public:
  queue_closed() : error("the queue is closed") {}
};

// Storage keeps the items: size(), push(T) and pop(), which chooses what comes next.
template <class T, class Storage = detail::item_ring<T>>
class queue {
 public:
  // At most `maxsize` items; 0 for no limit.
  explicit queue(std::size_t maxsize = 0) noexcept : limit_(maxsize - 1) { done_.set(); }
  queue(const queue&) = delete;
  queue& operator=(const queue&) = delete;
  // Tasks that still wait on it are cancelled.
  ~queue() = default;

  class putter;
  class getter;
  class next_getter;
  [[nodiscard]] putter put(T item) { return putter(*this, std::move(item)); }
  [[nodiscard]] getter get() noexcept { return getter(*this); }
  // As get, but a queue that is closed and empty gives std::nullopt.
  [[nodiscard]] next_getter next() noexcept { return next_getter(*this); }
  void put_nowait(T item) {
    if (closed_) throw queue_closed();
    if (full()) throw queue_full();
    add(std::move(item));
  }
  T get_nowait() {
    if (empty()) closed_ ? throw queue_closed() : throw queue_empty();
    return take();
  }

  // From now on nothing is put: puts throw queue_closed, those too that wait for room, whose items
  // stay with them. Gets still take what is there, and throw queue_closed after that. Once is enough.
  void close() noexcept;
  bool closed() const noexcept { return closed_; }

  // A consumer says that it has finished with an item that it got.
  void task_done() {
    if (unfinished_ == 0) throw invalid_state("task_done() called more often than items were put");
    if (--unfinished_ == 0) done_.set();
  }
  // Waits until task_done() has been called for every item put so far.
  [[nodiscard]] event::awaiter join() noexcept {
    return event::awaiter(done_, "the items of a queue to be done");
  }

  std::size_t size() const noexcept { return items_.size(); }
  bool empty() const noexcept { return items_.size() == 0; }
  bool full() const noexcept { return items_.size() > limit_; }
  std::size_t maxsize() const noexcept { return limit_ + 1; }

 private:
  class taker;
  void count_one() noexcept {
    if (unfinished_++ == 0) done_.clear();
  }
  // With room: to the getter that waits longest, else into the buffer.
  void add(T item) {
    if (taker* g = getting_.pop()) {
      g->deliver(std::move(item));
    } else {
      items_.push(std::move(item));
    }
    count_one();
  }
  // With an item there: the next; its place goes to the putter that waits longest.
  T take() {
    T item = items_.pop();
    if (putter* p = putting_.pop()) {
      items_.push(std::move(p->item_));
      count_one();
      p->granted();
    }
    return item;
  }

  std::size_t limit_;  // maxsize - 1: the greatest there is for no limit
  std::size_t unfinished_ = 0;
  bool closed_ = false;
  Storage items_;
  detail::wait_list<putter> putting_;  // not empty only while the buffer is full
  detail::wait_list<taker> getting_;   // not empty only while the buffer is empty
  event done_;                         // set while nothing is unfinished
};

template <class T, class Storage>
class queue<T, Storage>::putter final : public detail::listed_waiter {
 public:
  putter(queue& q, T item) : queue_(q), item_(std::move(item)) {}
  putter(putter&& other) : queue_(other.queue_), item_(std::move(other.item_)) {}
  bool await_ready() const noexcept { return false; }
  template <detail::flow_promise P>
  bool await_suspend(std::coroutine_handle<P> frame) {
    if (!may_wait(frame)) return false;
    if (queue_.closed_) [[unlikely]] {
      refused_ = true;
    } else if (queue_.full()) {
      wait_here(frame);
      queue_.putting_.push(*this);
      return true;
    } else {
      queue_.add(std::move(item_));
    }
    return false;
  }
  void await_resume() const {
    check();
    if (refused_) [[unlikely]]
      throw queue_closed();
  }
  std::string waits_for() const override { return "a place in a full queue"; }

 private:
  friend queue;
  void stop() noexcept override {
    queue_.putting_.remove(*this);
    give_up();
  }
  queue& queue_;
  T item_;
  bool refused_ = false;
};

// Waits for an item, or for the end of a queue that is closed: then it comes back without.
template <class T, class Storage>
class queue<T, Storage>::taker : public detail::listed_waiter {
 public:
  bool await_ready() const noexcept { return false; }
  template <detail::flow_promise P>
  bool await_suspend(std::coroutine_handle<P> frame) {
    if (!this->may_wait(frame)) return false;
    if (!queue_.empty()) {
      item_.emplace(queue_.take());
    } else if (!queue_.closed_) {
      this->wait_here(frame);
      queue_.getting_.push(*this);
      return true;
    }
    return false;
  }
  void deliver(T item) {
    item_.emplace(std::move(item));
    this->granted();
  }
  std::string waits_for() const final { return "an item of an empty queue"; }

 protected:
  explicit taker(queue& q) noexcept : queue_(q) {}
  ~taker() = default;
  std::optional<T> item_;

 private:
  void stop() noexcept final {
    queue_.getting_.remove(*this);
    this->give_up();
  }
  queue& queue_;
};

template <class T, class Storage>
class queue<T, Storage>::getter final : public taker {
 public:
  explicit getter(queue& q) noexcept : taker(q) {}
  T await_resume() {
    if (!this->item_) [[unlikely]]
      fail();
    return *std::move(this->item_);
  }

 private:
  [[noreturn]] void fail() const {
    this->check();
    throw queue_closed();
  }
};

template <class T, class Storage>
class queue<T, Storage>::next_getter final : public taker {
 public:
  explicit next_getter(queue& q) noexcept : taker(q) {}
  std::optional<T> await_resume() {
    this->check();
    return std::move(this->item_);
  }
};

template <class T, class Storage>
void queue<T, Storage>::close() noexcept {
  closed_ = true;
  while (putter* p = putting_.pop()) {
    p->refused_ = true;
    p->granted();
  }
  while (taker* g = getting_.pop()) g->granted();
}

}  // namespace plait

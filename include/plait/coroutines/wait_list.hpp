// plait/coroutines/wait_list.hpp: flows that stand in line for one thing, first come, first served.
//
// A line belongs to what is waited for (a semaphore, a queue's putters); its links lie in the
// awaiters. Joining, leaving from anywhere and taking the first are each a handful of instructions,
// so a hundred thousand waits may be stopped at once.
//
// Threads:  the loop's thread only.
// Stops:    the awaiter's stop() leaves its line. Once granted() a flow stands in no line, and a
//           stop no longer reaches its wait: what was given arrives.
#pragma once

#include <cstdint>

#include "plait/coroutines/context.hpp"

namespace plait::detail {

class listed_waiter : public waiter {
 public:
  // Out of its line: what it waited for is there.
  void granted() noexcept { resume_soon(); }
  // Out of its line: what it waited for goes away, and the wait ends as if stopped.
  virtual void abandon() noexcept { give_up(); }
  bool ends_from_within() const noexcept final { return true; }
  std::uint64_t flow_number() const noexcept { return flow().number(); }

  listed_waiter* previous;  // belongs to the line, as `next` does; stale in the first

 protected:
  listed_waiter() = default;
  // Before awaiting: no links yet.
  listed_waiter(const listed_waiter&) noexcept : waiter() {}
  ~listed_waiter() = default;
};

// The line itself, whatever its awaiters are.
class waiting_line {
 public:
  waiting_line() = default;
  waiting_line(const waiting_line&) = delete;
  waiting_line& operator=(const waiting_line&) = delete;
  ~waiting_line() {
    while (listed_waiter* w = pop()) w->abandon();
  }

  bool empty() const noexcept { return head_ == nullptr; }
  void push(listed_waiter& w) noexcept {
    w.next = nullptr;
    w.previous = tail_;
    if (head_ != nullptr) {
      tail_->next = &w;
    } else {
      head_ = &w;
    }
    tail_ = &w;
  }
  listed_waiter* pop() noexcept {
    listed_waiter* first = head_;
    if (first != nullptr) head_ = after(*first);
    return first;
  }
  // `w` stands in this line.
  void remove(listed_waiter& w) noexcept {
    if (head_ == &w) {
      head_ = after(w);
    } else {
      w.previous->next = w.next;
    }
    if (tail_ == &w) {
      tail_ = w.previous;
    } else {
      after(w)->previous = w.previous;
    }
  }

 private:
  static listed_waiter* after(const listed_waiter& w) noexcept {
    return static_cast<listed_waiter*>(w.next);
  }
  listed_waiter* head_ = nullptr;
  listed_waiter* tail_ = nullptr;  // stale while the line is empty
};

template <class Awaiter>
class wait_list : public waiting_line {
 public:
  Awaiter* pop() noexcept { return static_cast<Awaiter*>(waiting_line::pop()); }
};

}  // namespace plait::detail

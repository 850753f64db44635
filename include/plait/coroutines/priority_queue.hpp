// plait/coroutines/priority_queue.hpp: a queue that gives the first item in an order first.
//
//   plait::priority_queue<job, by_deadline> queue;   // by_deadline(a, b): a comes before b
//
// As in Python the smallest item comes first, which is not std::priority_queue's way: `Before` says
// what comes earlier. Equal items come in the order in which they were put. `Before` must not throw.
//
// Order:    of the items that are in the queue. One for which somebody waits goes straight there,
//           and one whose put waits for room is not in the queue yet.
// Cost:     a put and a get: O(log n) comparisons and moves.
//
// Everything but the order of the items is as in queue.hpp.
#pragma once

#include <cstdint>
#include <vector>

#include "plait/coroutines/queue.hpp"

namespace plait {
namespace detail {

struct smaller_first {
  template <class T>
  bool operator()(const T& a, const T& b) const {
    return a < b;
  }
};

// A binary heap; `turn` settles between equals.
template <class T, class Before>
class item_heap {
 public:
  std::size_t size() const noexcept { return entries_.size(); }
  void push(T item) {
    std::size_t i = entries_.size();
    entries_.push_back({std::move(item), turn_++});
    for (; i > 0 && before(i, (i - 1) / 2); i = (i - 1) / 2) swap(i, (i - 1) / 2);
  }
  T pop() {
    swap(0, entries_.size() - 1);
    T item = std::move(entries_.back().item);
    entries_.pop_back();
    sift_down();
    return item;
  }

 private:
  struct entry {
    T item;
    std::uint64_t turn;
  };
  void sift_down() {
    for (std::size_t i = 0, child; (child = 2 * i + 1) < entries_.size(); i = child) {
      if (child + 1 < entries_.size() && before(child + 1, child)) ++child;
      if (!before(child, i)) return;
      swap(child, i);
    }
  }
  bool before(std::size_t a, std::size_t b) const {
    const entry &x = entries_[a], &y = entries_[b];
    if (before_(x.item, y.item)) return true;
    return !before_(y.item, x.item) && x.turn < y.turn;
  }
  void swap(std::size_t a, std::size_t b) {
    if (a != b) std::swap(entries_[a], entries_[b]);
  }
  std::vector<entry> entries_;
  std::uint64_t turn_ = 0;
  [[no_unique_address]] Before before_;
};

}  // namespace detail

template <class T, class Before = detail::smaller_first>
using priority_queue = queue<T, detail::item_heap<T, Before>>;

}  // namespace plait

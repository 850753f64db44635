// plait/coroutines/lifo_queue.hpp: a queue that gives the newest item first.
//
//   plait::lifo_queue<page> queue{10};
//   co_await queue.put(std::move(page));
//   page newest = co_await queue.get();
//
// Everything but the order of the items is as in queue.hpp.
#pragma once

#include <vector>

#include "plait/coroutines/queue.hpp"

namespace plait {
namespace detail {

template <class T>
class item_stack {
 public:
  std::size_t size() const noexcept { return items_.size(); }
  void push(T item) { items_.push_back(std::move(item)); }
  T pop() {
    T item = std::move(items_.back());
    items_.pop_back();
    return item;
  }

 private:
  std::vector<T> items_;
};

}  // namespace detail

template <class T>
using lifo_queue = queue<T, detail::item_stack<T>>;

}  // namespace plait

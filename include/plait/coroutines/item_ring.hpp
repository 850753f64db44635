// plait/coroutines/item_ring.hpp: a queue's items, first in, first out.
#pragma once

#include <cstddef>
#include <new>
#include <utility>

namespace plait::detail {

// A growing ring; capacities are powers of two.
template <class T>
class item_ring {
 public:
  item_ring() = default;
  item_ring(const item_ring&) = delete;
  item_ring& operator=(const item_ring&) = delete;
  ~item_ring() {
    for (; first_ != end_; ++first_) at(first_)->~T();
    release();
  }

  std::size_t size() const noexcept { return end_ - first_; }
  void push(T item) {
    if (size() == capacity_) [[unlikely]]
      grow();
    ::new (static_cast<void*>(at(end_))) T(std::move(item));
    ++end_;
  }
  T pop() {
    T* const oldest = at(first_);
    T item = std::move(*oldest);
    oldest->~T();
    ++first_;
    return item;
  }

 private:
  T* at(std::size_t i) const noexcept { return slots_ + (i & (capacity_ - 1)); }
  void release() noexcept { ::operator delete (slots_, std::align_val_t{alignof(T)}); }
  void grow() {
    item_ring larger;
    const std::size_t wanted = capacity_ == 0 ? 8 : 2 * capacity_;
    larger.slots_ =
        static_cast<T*>(::operator new (wanted * sizeof(T), std::align_val_t{alignof(T)}));
    larger.capacity_ = wanted;
    while (size() != 0) larger.push(pop());
    std::swap(slots_, larger.slots_);
    std::swap(capacity_, larger.capacity_);
    std::swap(first_, larger.first_);
    std::swap(end_, larger.end_);
  }

  T* slots_ = nullptr;
  std::size_t capacity_ = 0;
  std::size_t first_ = 0, end_ = 0;  // counted from the first push on, modulo the capacity
};

}  // namespace plait::detail

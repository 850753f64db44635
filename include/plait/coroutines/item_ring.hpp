// plait/coroutines/item_ring.hpp: a queue's items, first in, first out.
#pragma once

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace plait::detail {

// A growing ring; capacities are powers of two.
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

}  // namespace plait::detail

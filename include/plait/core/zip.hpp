// plait/core/zip.hpp: two ranges read side by side, as map(f, items, others) does.
//
// Threads:  a zipped range belongs to one thread.
// Stops:    it ends with the shorter of the two.
// Cost:     none but the two; lvalue ranges are referred to, rvalues kept.
#pragma once

#include <cstddef>
#include <iterator>
#include <stop_token>
#include <tuple>
#include <type_traits>
#include <utility>

namespace plait::detail {

// Lvalue ranges are referred to, rvalues are kept.
template <class Range>
struct range_holder {
  explicit range_holder(Range&& r) : range(std::move(r)) {}
  Range range;
};
template <class Range>
struct range_holder<Range&> {
  explicit range_holder(Range& r) : range(r) {}
  Range& range;
};

template <class Range>
concept iterable = requires(Range& range) {
  std::begin(range);
  std::end(range);
};

template <class Left, class Right>
class zipped {
  using left_range = std::remove_reference_t<Left>;
  using right_range = std::remove_reference_t<Right>;
  using left_iterator = decltype(std::begin(std::declval<left_range&>()));
  using right_iterator = decltype(std::begin(std::declval<right_range&>()));

 public:
  zipped(Left&& left, Right&& right)
      : left_(std::forward<Left>(left)), right_(std::forward<Right>(right)) {}

  struct sentinel {
    decltype(std::end(std::declval<left_range&>())) left;
    decltype(std::end(std::declval<right_range&>())) right;
  };
  struct iterator {
    using value_type = std::tuple<std::decay_t<decltype(*std::declval<left_iterator&>())>,
                                  std::decay_t<decltype(*std::declval<right_iterator&>())>>;
    using difference_type = std::ptrdiff_t;
    value_type operator*() const { return {*left, *right}; }
    iterator& operator++() {
      ++left;
      ++right;
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(const sentinel& end) const { return left == end.left || right == end.right; }
    left_iterator left;
    right_iterator right;
  };
  iterator begin() { return {std::begin(left_.range), std::begin(right_.range)}; }
  sentinel end() { return {std::end(left_.range), std::end(right_.range)}; }

 private:
  range_holder<Left> left_;
  range_holder<Right> right_;
};

// f for one element of a zipped range.
template <class F>
struct spread_call {
  F f;
  template <class First, class Second>
  requires std::is_invocable_v<F&, First, Second>
  auto operator()(std::tuple<First, Second> items) { return std::apply(f, std::move(items)); }
  template <class First, class Second>
  requires std::is_invocable_v<F&, std::stop_token, First, Second>
  auto operator()(std::stop_token stop, std::tuple<First, Second> items) {
    return f(std::move(stop), std::get<0>(std::move(items)), std::get<1>(std::move(items)));
  }
};

}  // namespace plait::detail

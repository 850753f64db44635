// plait/processes/aggregate.hpp: the members of a plain struct, without a word from its author.
//
// member_count<T> asks with how many values T can be brace-initialised; for_each_member takes the
// struct apart with a structured binding of that many names. Up to 16 members; no base classes.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

namespace plait::detail {

inline constexpr std::size_t max_members = 16;

// Converts to whatever a member of T is initialised from, except to a base of T.
template <class T>
struct any_member {
  template <class U>
  requires(!std::is_same_v<U, T> && !std::is_base_of_v<U, T>) operator U() const noexcept;
};

template <class T, std::size_t>
using any_member_at = any_member<T>;

template <class T, std::size_t... I>
constexpr bool takes_values(std::index_sequence<I...>) {
  return requires { T{any_member_at<T, I>{}...}; };
}
// T{a, b, {c, d}, e}: does the member in the middle take `nested` values of its own?
template <class T, std::size_t... L, std::size_t... N, std::size_t... R>
constexpr bool takes_nested(std::index_sequence<L...>, std::index_sequence<N...>,
                            std::index_sequence<R...>) {
  return requires {
    T{any_member_at<T, L>{}..., {any_member_at<T, N>{}...}, any_member_at<T, R>{}...};
  };
}

template <class T, std::size_t N = max_members + 1>
constexpr std::size_t value_count() {
  if constexpr (N == 0 || takes_values<T>(std::make_index_sequence<N>{})) {
    return N;
  } else {
    return value_count<T, N - 1>();
  }
}

// An array member swallows several values by brace elision: how many does the one at Index take?
template <class T, std::size_t Index, std::size_t Size, std::size_t Rest>
constexpr std::size_t values_of_member() {
  if constexpr (Size <= 1) {
    return 1;
  } else if constexpr (takes_nested<T>(std::make_index_sequence<Index>{},
                                       std::make_index_sequence<Size>{},
                                       std::make_index_sequence<Rest>{}) &&
                       !takes_nested<T>(std::make_index_sequence<Index>{},
                                        std::make_index_sequence<Size>{},
                                        std::make_index_sequence<Rest + 1>{})) {
    return Size;
  } else {
    return values_of_member<T, Index, Size - 1, Rest + 1>();
  }
}
template <class T, std::size_t Values, std::size_t Index = 0>
constexpr std::size_t members_from() {
  if constexpr (Index >= Values) {
    return 0;
  } else {
    constexpr std::size_t taken = values_of_member<T, Index, Values - Index, 0>();
    return 1 + members_from<T, Values, Index + taken>();
  }
}

// std::array and its like are taken apart otherwise.
template <class T>
concept tuple_like = requires {
  sizeof(std::tuple_size<T>);
};

// 0 for what is no such struct, or has more members than we can name.
template <class T>
constexpr std::size_t count_members() {
  if constexpr (!std::is_class_v<T> || !std::is_aggregate_v<T> || std::is_empty_v<T> ||
                tuple_like<T>) {
    return 0;
  } else {
    constexpr std::size_t values = value_count<T>();
    if constexpr (values > max_members)
      return 0;
    else
      return members_from<T, values>();
  }
}
template <class T>
inline constexpr std::size_t member_count = count_members<T>();

// f(a, b, ...) with references to the members.
template <class T, class F>
constexpr decltype(auto) with_members(T& t, F&& f) {
  constexpr std::size_t n = member_count<std::remove_const_t<T>>;
  // clang-format off
  if constexpr (n == 1) { auto& [a] = t; return f(a); }
  else if constexpr (n == 2) { auto& [a, b] = t; return f(a, b); }
  else if constexpr (n == 3) { auto& [a, b, c] = t; return f(a, b, c); }
  else if constexpr (n == 4) { auto& [a, b, c, d] = t; return f(a, b, c, d); }
  else if constexpr (n == 5) { auto& [a, b, c, d, e] = t; return f(a, b, c, d, e); }
  else if constexpr (n == 6) { auto& [a, b, c, d, e, g] = t; return f(a, b, c, d, e, g); }
  else if constexpr (n == 7) { auto& [a, b, c, d, e, g, h] = t; return f(a, b, c, d, e, g, h); }
  else if constexpr (n == 8) { auto& [a, b, c, d, e, g, h, i] = t; return f(a, b, c, d, e, g, h, i); }
  else if constexpr (n == 9) { auto& [a, b, c, d, e, g, h, i, j] = t; return f(a, b, c, d, e, g, h, i, j); }
  else if constexpr (n == 10) { auto& [a, b, c, d, e, g, h, i, j, k] = t; return f(a, b, c, d, e, g, h, i, j, k); }
  else if constexpr (n == 11) { auto& [a, b, c, d, e, g, h, i, j, k, l] = t; return f(a, b, c, d, e, g, h, i, j, k, l); }
  else if constexpr (n == 12) { auto& [a, b, c, d, e, g, h, i, j, k, l, m] = t; return f(a, b, c, d, e, g, h, i, j, k, l, m); }
  else if constexpr (n == 13) { auto& [a, b, c, d, e, g, h, i, j, k, l, m, o] = t; return f(a, b, c, d, e, g, h, i, j, k, l, m, o); }
  else if constexpr (n == 14) { auto& [a, b, c, d, e, g, h, i, j, k, l, m, o, p] = t; return f(a, b, c, d, e, g, h, i, j, k, l, m, o, p); }
  else if constexpr (n == 15) { auto& [a, b, c, d, e, g, h, i, j, k, l, m, o, p, q] = t; return f(a, b, c, d, e, g, h, i, j, k, l, m, o, p, q); }
  else { auto& [a, b, c, d, e, g, h, i, j, k, l, m, o, p, q, r] = t; return f(a, b, c, d, e, g, h, i, j, k, l, m, o, p, q, r); }
  // clang-format on
}

}  // namespace plait::detail

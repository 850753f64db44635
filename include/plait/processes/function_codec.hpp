// plait/processes/function_codec.hpp: how the function of a call travels.
//
// A captureless lambda or stateless function object is its type: nothing travels. A pointer to a
// function or a member function travels as a token. A function object with members travels as they
// do. Captures do not: C++ does not tell what a closure holds.
#pragma once

#include <cstdint>
#include <string_view>
#include <type_traits>

#include "plait/core/map.hpp"
#include "plait/processes/codec.hpp"

namespace plait::detail {

// A closure type, by the only sign that the language gives of one.
template <class F>
constexpr bool is_closure() {
  constexpr std::string_view name = __PRETTY_FUNCTION__;
  return name.find("<lambda(") != name.npos || name.find("(lambda at ") != name.npos;
}
template <class F>
inline constexpr bool is_stateless =
    std::is_class_v<F>&& std::is_empty_v<F>&& std::is_trivially_copyable_v<F>;
template <class F>
concept stateful_functor = std::is_class_v<F> && !is_stateless<F> && travels<F>;

template <class F>
struct function_codec {
  static constexpr bool usable = false;
};
template <class F>
requires is_stateless<F>
struct function_codec<F> {
  static constexpr bool usable = true;
  static void encode(encoder&, const F&) noexcept {}
  static F decode(decoder&) noexcept {
    if constexpr (std::is_default_constructible_v<F>) {
      return F();
    } else {
      struct nothing {};
      return __builtin_bit_cast(F, nothing{});
    }
  }
};
template <function_pointer F>
struct function_codec<F> : codec<F> {
  static constexpr bool usable = true;
};
// Itanium ABI: {code or virtual offset, adjustment}; only code is an address.
template <class F>
requires std::is_member_function_pointer_v<F>
struct function_codec<F> {
  static constexpr bool usable = true;
  struct parts {
    std::uintptr_t code, adjustment;
  };
  static bool is_virtual(const parts& p) noexcept {
#if defined(__aarch64__) || defined(__arm__)
    return p.adjustment & 1;
#else
    return p.code & 1;
#endif
  }
  static void encode(encoder& to, const F& f) {
    auto p = __builtin_bit_cast(parts, f);
    if (!is_virtual(p)) p.code = token_of(reinterpret_cast<const void*>(p.code));
    to.write_plain(p);
  }
  static F decode(decoder& from) {
    auto p = from.read_plain<parts>();
    if (!is_virtual(p)) p.code = reinterpret_cast<std::uintptr_t>(code_of(p.code));
    return __builtin_bit_cast(F, p);
  }
};
// A function object with members that travel; closures' captures do not, their names are unknown.
template <stateful_functor F>
struct function_codec<F> : codec<F> {
  static constexpr bool usable = !is_closure<F>();
};
template <class F>
struct function_codec<chunk_call<F>> {
  static constexpr bool usable = function_codec<F>::usable;
  static void encode(encoder& to, const chunk_call<F>& c) { function_codec<F>::encode(to, c.f); }
  static chunk_call<F> decode(decoder& from) { return {function_codec<F>::decode(from)}; }
};

}  // namespace plait::detail

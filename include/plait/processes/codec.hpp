// plait/processes/codec.hpp: how a value travels to another process: codec<T> for each type.
//
// Without a word from you travel: numbers, enumerations, strings, plain structs of up to 16 such
// members, function pointers, std::pair, tuple, optional, variant, array, every standard sequence,
// set and map, std::chrono's durations and times. Types with a cereal `serialize`
// travel after #include <plait/processes/cereal.hpp>. For any other type specialise codec<T>:
//
//   template <> struct plait::codec<point> {
//     static void encode(encoder& to, const point& p) { to.write_plain(p.x); to.write_plain(p.y); }
//     static point decode(decoder& from) { auto x = from.read_plain<int>(); ... }
//   };
//
// Pointers, references, views and captures do not travel: what they point to stays behind. A struct
// that contains itself (in a vector, say) needs a codec or a serialize.
// Throws:   decode: serialization_error.
#pragma once

#include <array>
#include <concepts>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "plait/core/clock.hpp"
#include "plait/processes/aggregate.hpp"
#include "plait/processes/message.hpp"

namespace plait {

template <class T>
struct codec;

// True for types that can cross to another process.
template <class T>
concept travels = requires(encoder& to, decoder& from, const T& value) {
  codec<T>::encode(to, value);
  { codec<T>::decode(from) } -> std::same_as<T>;
};

// Specialise as true for a trivially copyable class that holds no address: it travels as its bytes.
template <class T>
inline constexpr bool travels_as_bytes = std::is_arithmetic_v<T> || std::is_enum_v<T>;
template <class Rep, class Period>
inline constexpr bool travels_as_bytes<std::chrono::duration<Rep, Period>> = travels_as_bytes<Rep>;
template <class Clock, class Duration>
inline constexpr bool travels_as_bytes<std::chrono::time_point<Clock, Duration>> =
    travels_as_bytes<Duration>;

namespace detail {

struct archive_probe {
  template <class... T>
  archive_probe& operator()(T&&...);
  template <class T>
  archive_probe& operator&(T&&);
};
// Has a member or members in cereal's manner, which then decide how it travels.
template <class T>
concept has_serialize = requires(T& value, archive_probe& archive) {
  value.serialize(archive);
}
|| requires(const T& value, archive_probe& archive) { value.save(archive); };

template <class T>
inline constexpr bool member_travels = travels<T>;
template <class T, std::size_t N>
inline constexpr bool member_travels<T[N]> = member_travels<T>;
template <class T>
constexpr bool members_travel() {
  if constexpr (member_count<T> == 0) {
    return false;
  } else {
    return decltype(with_members(std::declval<T&>(), [](auto&... m) {
      return std::bool_constant<(member_travels<std::remove_reference_t<decltype(m)>> && ...)>{};
    }))::value;
  }
}
template <class T>
constexpr bool members_are_bytes();
// Its bytes are its value: no padding that would leak, no address, no invalid patterns but bool's.
template <class T>
inline constexpr bool is_bytes =
    !std::is_same_v<T, bool> && (travels_as_bytes<T> || members_are_bytes<T>());
template <class T, std::size_t N>
inline constexpr bool is_bytes<T[N]> = is_bytes<T>;
template <class T>
constexpr bool members_are_bytes() {
  if constexpr (member_count<T> == 0 || !std::is_trivially_copyable_v<T>) {
    return false;
  } else if constexpr (has_serialize<T>) {
    return false;
  } else {
    return decltype(with_members(std::declval<T&>(), [](auto&... m) {
      return std::bool_constant < (is_bytes<std::remove_reference_t<decltype(m)>> && ...) &&
             (sizeof(m) + ...) == sizeof(T) > {};
    }))::value;
  }
}

template <class T>
concept plain_struct =
    std::is_class_v<T> && std::is_aggregate_v<T> && !travels_as_bytes<T> && !has_serialize<T> &&
    std::is_default_constructible_v<T> && members_travel<T>();

template <class T>
concept function_pointer = std::is_pointer_v<T> && std::is_function_v<std::remove_pointer_t<T>>;

// Standard containers, known by their shape, so that their headers need not be included here.
template <class T>
concept container = requires(T& c, const T& k, typename T::value_type v) {
  typename T::allocator_type;
  k.begin();
  k.end();
  { k.size() } -> std::convertible_to<std::size_t>;
};
template <class T>
concept contiguous = container<T> && requires(T& c, const T& k) {
  { k.data() } -> std::convertible_to<const typename T::value_type*>;
  c.resize(std::size_t{});
};
template <class T>
concept mapping = container<T> && requires {
  typename T::mapped_type;
};
template <class T>
struct element_of {
  using type = typename T::value_type;
};
template <mapping T>
struct element_of<T> {
  using type = std::pair<typename T::key_type, typename T::mapped_type>;
};

}  // namespace detail

template <class T>
requires travels_as_bytes<T>
struct codec<T> {
  static void encode(encoder& to, const T& value) { to.write_plain(value); }
  static T decode(decoder& from) {
    if constexpr (std::is_same_v<T, bool>)
      return from.read_plain<std::uint8_t>() != 0;
    else
      return from.read_plain<T>();
  }
};

// Nothing but its type: a tag, a comparison, std::monostate.
template <class T>
requires(
    std::is_empty_v<T>&& std::is_trivially_copyable_v<T>&& std::is_default_constructible_v<T> &&
    !detail::has_serialize<T>) struct codec<T> {
  static void encode(encoder& to, const T&) { to.write_plain(std::uint8_t{}); }
  static T decode(decoder& from) { return from.read_plain<std::uint8_t>(), T(); }
};

template <detail::function_pointer T>
struct codec<T> {
  static void encode(encoder& to, const T& f) {
    to.write_plain(f == nullptr ? 0 : detail::token_of(reinterpret_cast<const void*>(f)));
  }
  static T decode(decoder& from) {
    const auto token = from.read_plain<std::uint64_t>();
    return token == 0 ? nullptr : reinterpret_cast<T>(const_cast<void*>(detail::code_of(token)));
  }
};

namespace detail {

template <class T>
void encode_member(encoder& to, const T& member) {
  codec<T>::encode(to, member);
}
template <class T>
void decode_member(decoder& from, T& member) {
  member = codec<T>::decode(from);
}
template <class T, std::size_t N>
void encode_member(encoder& to, const T (&members)[N]) {
  for (const T& m : members) encode_member(to, m);
}
template <class T, std::size_t N>
void decode_member(decoder& from, T (&members)[N]) {
  for (T& m : members) decode_member(from, m);
}

}  // namespace detail

template <detail::plain_struct T>
struct codec<T> {
  static void encode(encoder& to, const T& value) {
    if constexpr (detail::is_bytes<T>) {
      to.write_plain(value);
    } else {
      detail::with_members(value, [&to](const auto&... m) { (detail::encode_member(to, m), ...); });
    }
  }
  static T decode(decoder& from) {
    T value{};
    if constexpr (detail::is_bytes<T>) {
      from.read(&value, sizeof value);
    } else {
      detail::with_members(value, [&from](auto&... m) { (detail::decode_member(from, m), ...); });
    }
    return value;
  }
};

template <detail::container T>
requires travels<typename detail::element_of<T>::type>
struct codec<T> {
  using element = typename detail::element_of<T>::type;
  static constexpr bool as_block = detail::contiguous<T> && detail::is_bytes<element>;
  static constexpr bool is_bits = requires(T & c) { c.flip(); };  // std::vector<bool>

  static void encode(encoder& to, const T& items) {
    to.write_size(items.size());
    if constexpr (as_block) {
      if (items.size() != 0) to.write(items.data(), items.size() * sizeof(element));
    } else if constexpr (is_bits) {
      for (const bool bit : items) to.write_plain(bit);
    } else if constexpr (detail::mapping<T>) {
      for (const auto& [key, mapped] : items) {
        codec<typename T::key_type>::encode(to, key);
        codec<typename T::mapped_type>::encode(to, mapped);
      }
    } else {
      for (const auto& item : items) codec<element>::encode(to, item);
    }
  }
  static T decode(decoder& from) {
    T items;
    if constexpr (as_block) {
      const std::size_t n = from.read_size(sizeof(element));
      items.resize(n);
      if (n != 0) from.read(items.data(), n * sizeof(element));
    } else {
      const std::size_t n = from.read_size(1);
      if constexpr (requires { items.reserve(n); }) items.reserve(n);
      for (std::size_t i = 0; i < n; ++i) {
        if constexpr (requires(element e) { items.push_back(std::move(e)); }) {
          items.push_back(codec<element>::decode(from));
        } else if constexpr (requires(element e) { items.insert(items.end(), std::move(e)); }) {
          items.insert(items.end(), codec<element>::decode(from));
        }
      }
    }
    return items;
  }
};

template <class T, std::size_t N>
requires travels<T>
struct codec<std::array<T, N>> {
  static void encode(encoder& to, const std::array<T, N>& items) {
    for (const T& item : items) codec<T>::encode(to, item);
  }
  static std::array<T, N> decode(decoder& from) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return std::array<T, N>{(static_cast<void>(I), codec<T>::decode(from))...};
    }
    (std::make_index_sequence<N>{});
  }
};

template <travels A, travels B>
struct codec<std::pair<A, B>> {
  static void encode(encoder& to, const std::pair<A, B>& both) {
    codec<A>::encode(to, both.first);
    codec<B>::encode(to, both.second);
  }
  static std::pair<A, B> decode(decoder& from) {
    return std::pair<A, B>{codec<A>::decode(from), codec<B>::decode(from)};
  }
};

template <travels... T>
struct codec<std::tuple<T...>> {
  static void encode(encoder& to, const std::tuple<T...>& items) {
    std::apply([&to](const T&... item) { (codec<T>::encode(to, item), ...); }, items);
  }
  // Braces: the members are decoded in order.
  static std::tuple<T...> decode([[maybe_unused]] decoder& from) {
    return std::tuple<T...>{codec<T>::decode(from)...};
  }
};

template <travels T>
struct codec<std::optional<T>> {
  static void encode(encoder& to, const std::optional<T>& value) {
    to.write_plain(value.has_value());
    if (value) codec<T>::encode(to, *value);
  }
  static std::optional<T> decode(decoder& from) {
    if (from.read_plain<std::uint8_t>() == 0) return std::nullopt;
    return codec<T>::decode(from);
  }
};

template <travels... T>
struct codec<std::variant<T...>> {
  using value_type = std::variant<T...>;
  static void encode(encoder& to, const value_type& value) {
    to.write_size(value.index());
    if (!value.valueless_by_exception())
      std::visit([&to]<class U>(const U& u) { codec<U>::encode(to, u); }, value);
  }
  static value_type decode(decoder& from) {
    return at<0>(from, static_cast<std::size_t>(from.read_plain<std::uint64_t>()));
  }

 private:
  template <std::size_t I>
  static value_type at(decoder& from, std::size_t index) {
    if constexpr (I == sizeof...(T)) {
      detail::throw_bad_value("a std::variant without a value");
    } else {
      using type = std::variant_alternative_t<I, value_type>;
      if (index == I) return value_type(std::in_place_index<I>, codec<type>::decode(from));
      return at<I + 1>(from, index);
    }
  }
};

}  // namespace plait

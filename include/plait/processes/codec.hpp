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

#include <concepts>
#include <string>
#include <utility>

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
    std::is_class_v<T> && std::is_aggregate_v<T> && !tuple_like<T> && !travels_as_bytes<T> &&
    !has_serialize<T> && std::is_default_constructible_v<T> && members_travel<T>();

template <class T>
concept function_pointer = std::is_pointer_v<T> && std::is_function_v<std::remove_pointer_t<T>>;

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

}  // namespace plait

#include "plait/processes/container_codec.hpp"

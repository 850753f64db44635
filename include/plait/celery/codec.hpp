// plait/celery/codec.hpp: C++ types as values of messages, and back.
//
//   value v = to_value(std::vector{1, 2});      auto back = from_value<std::vector<int>>(v);
//
//   C++                                          message, in Python's words
//   bool, integers, enums; float, double         bool, int, float
//   std::string, string_view, const char*        str
//   std::vector, array, pair, tuple, span        list
//   std::map, unordered_map<std::string, T>      dict
//   std::optional, nullptr_t, monostate          None, or what it holds
//   std::variant                                 the first alternative that fits
//   system_clock::time_point                     datetime in UTC; a naive one and ISO text are read too
//   chrono durations                             seconds: int if they are whole, else float
//   std::vector<std::byte>, span of them         bytes; a str is read as its UTF-8
//   value, list, dict, decimal, uuid ...         themselves
//   a struct that lists its members              dict:
//
//   struct point { double x, y; };
//   template <> struct plait::celery::members<point> {
//     static constexpr auto all = std::tuple{member("x", &point::x), member("y", &point::y)};
//   };
//
// A specialisation of codec<T>, with static encode(const T&) and decode(const value&), teaches any
// other type.
//
// Throws:   type_error: "[3]['x'] must be float, not str". A number that does not fit is one too.
// Cost:     that of the values.
#pragma once

#include <concepts>
#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "plait/celery/value.hpp"
#include "plait/celery/wire_errors.hpp"

namespace plait::celery {

template <class T>
struct codec;
template <class T>
struct members;

template <class T>
value to_value(const T& from) {
  return codec<T>::encode(from);
}
template <class T>
T from_value(const value& from) {
  return codec<T>::decode(from);
}

template <class Struct, class Member>
struct member_of {
  const char* name;
  Member Struct::*pointer;
};
template <class Struct, class Member>
constexpr member_of<Struct, Member> member(const char* name, Member Struct::*pointer) {
  return {name, pointer};
}

namespace detail {

[[noreturn]] void wrong_type(const char* wanted, const value& got);
// Numbers, which several of the alternatives may hold. `integer_from`: within [least, most].
std::int64_t integer_from(const value& from, std::int64_t least, std::int64_t most);
std::uint64_t unsigned_from(const value& from, std::uint64_t most);
double float_from(const value& from);
// Nanoseconds since 1970 in UTC.
std::int64_t moment_from(const value& from);
value moment_to_value(std::int64_t nanoseconds);
bytes bytes_from(const value& from);

template <class T>
const T& held(const value& from, const char* wanted) {
  if (const T* found = from.get_if<T>()) return *found;
  wrong_type(wanted, from);
}
template <class T>
T item_from(const value& from, std::size_t index) {
  try {
    return from_value<T>(from);
  } catch (const type_error& e) {
    throw e.within('[' + std::to_string(index) + ']');
  }
}
template <class T>
T entry_from(const value& from, const std::string& key) {
  try {
    return from_value<T>(from);
  } catch (const type_error& e) {
    throw e.within('[' + repr(key) + ']');
  }
}
const list& list_of(const value& from, std::size_t length);

template <class T, class Any>
inline constexpr bool is_held = false;
template <class T, class... Held>
inline constexpr bool is_held<T, std::variant<Held...>> = (std::same_as<T, Held> || ...);
template <class T>
concept itself = std::same_as<T, value> || is_held<T, value::any>;
template <class T>
concept map_of_strings = requires(T map, typename T::mapped_type item) {
  requires std::same_as<typename T::key_type, std::string>;
  map.insert_or_assign(std::string(), item);
};
template <class T>
concept lists_members = requires {
  members<T>::all;
};
template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

}  // namespace detail

// bool, string, list, dict, decimal ...: as they are.
template <detail::itself T>
struct codec<T> {
  static value encode(const T& from) { return from; }
  static T decode(const value& from) {
    if constexpr (std::same_as<T, value>)
      return from;
    else if constexpr (std::same_as<T, double>)
      return detail::float_from(from);
    else if constexpr (std::same_as<T, std::int64_t>)
      return detail::integer_from(from, std::numeric_limits<T>::min(),
                                  std::numeric_limits<T>::max());
    else if constexpr (std::same_as<T, celery::bytes>)
      return detail::bytes_from(from);
    else
      return detail::held<T>(from, value(T()).type_name());
  }
};

template <class T>
requires(std::is_integral_v<T> && !detail::itself<T>) struct codec<T> {
  static value encode(T from) { return from; }
  static T decode(const value& from) {
    if constexpr (std::is_signed_v<T>)
      return static_cast<T>(
          detail::integer_from(from, std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
    else
      return static_cast<T>(detail::unsigned_from(from, std::numeric_limits<T>::max()));
  }
};

template <>
struct codec<float> {
  static value encode(float from) { return static_cast<double>(from); }
  static float decode(const value& from) { return static_cast<float>(detail::float_from(from)); }
};

template <class T>
requires std::is_enum_v<T>
struct codec<T> {
  using number = std::underlying_type_t<T>;
  static value encode(T from) { return to_value(static_cast<number>(from)); }
  static T decode(const value& from) { return static_cast<T>(from_value<number>(from)); }
};

// To send only: nothing would keep the text alive.
template <>
struct codec<std::string_view> {
  static value encode(std::string_view from) { return from; }
};
template <>
struct codec<const char*> {
  static value encode(const char* from) { return from; }
};
template <std::size_t N>
struct codec<char[N]> {
  static value encode(const char (&from)[N]) { return std::string_view(from, N - 1); }
};
template <class T, std::size_t N>
struct codec<std::span<T, N>> {
  static value encode(std::span<T, N> from) {
    if constexpr (std::same_as<std::remove_const_t<T>, std::byte>) {
      return bytes(from.begin(), from.end());
    } else {
      list made;
      made.reserve(from.size());
      for (const auto& each : from) made.push_back(to_value(each));
      return made;
    }
  }
};

template <>
struct codec<std::monostate> {
  static value encode(std::monostate) { return nullptr; }
  static std::monostate decode(const value& from) {
    if (!from.is_null()) detail::wrong_type("None", from);
    return {};
  }
};

template <detail::lists_members T>
struct codec<T> {
  static value encode(const T& from) {
    dict made;
    const auto put = [&]<class M>(const member_of<T, M>& each) {
      made.append(each.name, to_value<M>(from.*each.pointer));
    };
    std::apply([&](const auto&... each) { (put(each), ...); }, members<T>::all);
    return made;
  }
  // A member that is missing stays as T() has it if it is optional; others must be there.
  static T decode(const value& from) {
    const dict& entries = detail::held<dict>(from, "dict");
    T made{};
    const auto take = [&]<class M>(const member_of<T, M>& each) {
      if (const value* found = entries.find(each.name))
        made.*each.pointer = detail::entry_from<M>(*found, each.name);
      else if (!detail::is_optional<M>)
        throw type_error("misses the key '" + std::string(each.name) + "'");
    };
    std::apply([&](const auto&... each) { (take(each), ...); }, members<T>::all);
    return made;
  }
};

}  // namespace plait::celery

#include "plait/celery/codec_containers.hpp"

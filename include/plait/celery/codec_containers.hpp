// plait/celery/codec_containers.hpp: the part of codec.hpp about what holds other types, and about
// time. Include codec.hpp: it brings this along.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "plait/celery/codec.hpp"

namespace plait::celery {

template <class T, class Allocator>
requires(!detail::itself<std::vector<T, Allocator>>) struct codec<std::vector<T, Allocator>> {
  static value encode(const std::vector<T, Allocator>& from) {
    list made;
    made.reserve(from.size());
    for (const T& each : from) made.push_back(to_value<T>(each));
    return made;
  }
  static std::vector<T, Allocator> decode(const value& from) {
    const list& items = detail::held<list>(from, "list");
    std::vector<T, Allocator> made;
    made.reserve(items.size());
    for (std::size_t i = 0; i < items.size(); ++i)
      made.push_back(detail::item_from<T>(items[i], i));
    return made;
  }
};

template <class T, std::size_t N>
struct codec<std::array<T, N>> {
  static value encode(const std::array<T, N>& from) {
    return to_value(std::span<const T, N>(from));
  }
  static std::array<T, N> decode(const value& from) {
    const list& items = detail::list_of(from, N);
    std::array<T, N> made{};
    for (std::size_t i = 0; i < N; ++i) made[i] = detail::item_from<T>(items[i], i);
    return made;
  }
};

template <class... Ts>
struct codec<std::tuple<Ts...>> {
  static value encode(const std::tuple<Ts...>& from) {
    return std::apply([](const Ts&... each) { return list{to_value<Ts>(each)...}; }, from);
  }
  static std::tuple<Ts...> decode(const value& from) {
    [[maybe_unused]] const list& items = detail::list_of(from, sizeof...(Ts));
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return std::tuple<Ts...>{detail::item_from<Ts>(items[I], I)...};
    }
    (std::index_sequence_for<Ts...>());
  }
};

template <class A, class B>
struct codec<std::pair<A, B>> {
  static value encode(const std::pair<A, B>& from) {
    return list{to_value<A>(from.first), to_value<B>(from.second)};
  }
  static std::pair<A, B> decode(const value& from) {
    const list& items = detail::list_of(from, 2);
    return {detail::item_from<A>(items[0], 0), detail::item_from<B>(items[1], 1)};
  }
};

template <detail::map_of_strings Map>
struct codec<Map> {
  using item = typename Map::mapped_type;
  static value encode(const Map& from) {
    dict made;
    made.reserve(from.size());
    for (const auto& [key, each] : from) made.append(key, to_value<item>(each));
    return made;
  }
  static Map decode(const value& from) {
    Map made;
    for (const dict::entry& each : detail::held<dict>(from, "dict"))
      made.insert_or_assign(each.key, detail::entry_from<item>(each.value, each.key));
    return made;
  }
};

template <class T>
struct codec<std::optional<T>> {
  static value encode(const std::optional<T>& from) { return from ? to_value<T>(*from) : value(); }
  static std::optional<T> decode(const value& from) {
    if (from.is_null()) return {};
    return from_value<T>(from);
  }
};

template <class... Ts>
struct codec<std::variant<Ts...>> {
  static value encode(const std::variant<Ts...>& from) {
    return std::visit([]<class T>(const T& held) { return to_value<T>(held); }, from);
  }
  static std::variant<Ts...> decode(const value& from) {
    std::optional<std::variant<Ts...>> made;
    const auto fits = [&]<class T>(std::type_identity<T>) {
      try {
        made.emplace(std::in_place_type<T>, from_value<T>(from));
      } catch (const type_error&) {
      }
      return made.has_value();
    };
    if (!(fits(std::type_identity<Ts>()) || ...))
      detail::wrong_type("one of several other types", from);
    return *std::move(made);
  }
};

template <class Duration>
struct codec<std::chrono::time_point<std::chrono::system_clock, Duration>> {
  using moment = std::chrono::time_point<std::chrono::system_clock, Duration>;
  static value encode(const moment& from) {
    return detail::moment_to_value(
        std::chrono::duration_cast<std::chrono::nanoseconds>(from.time_since_epoch()).count());
  }
  static moment decode(const value& from) {
    return moment(
        std::chrono::duration_cast<Duration>(std::chrono::nanoseconds(detail::moment_from(from))));
  }
};

template <class Rep, class Period>
struct codec<std::chrono::duration<Rep, Period>> {
  using span = std::chrono::duration<Rep, Period>;
  using seconds = std::chrono::duration<double>;
  static value encode(const span& from) {
    const auto whole = std::chrono::duration_cast<std::chrono::seconds>(from);
    if (whole == from) return static_cast<std::int64_t>(whole.count());
    return std::chrono::duration_cast<seconds>(from).count();
  }
  static span decode(const value& from) {
    const double count = detail::float_from(from);
    const double most = std::chrono::duration_cast<seconds>(span::max()).count();
    if (!(count < most && count > -most)) detail::wrong_type("a shorter span of time", from);
    if constexpr (std::is_floating_point_v<Rep>)
      return std::chrono::duration_cast<span>(seconds(count));
    else
      return std::chrono::round<span>(seconds(count));
  }
};

}  // namespace plait::celery

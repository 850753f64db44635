// plait/processes/container_codec.hpp: how containers and the standard's small compounds travel.
// Part of codec.hpp, which includes it.
#pragma once

#include <array>
#include <concepts>
#include <optional>
#include <tuple>
#include <utility>
#include <variant>

#include "plait/processes/codec.hpp"

namespace plait {
namespace detail {

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
  c.assign(k.data(), k.data());
};
template <class T>
concept mapping = container<T> && requires {
  typename T::mapped_type;
};
// Memory just reserved: if it is large, the kernel may give it in large pages.
void will_be_filled(void* memory, std::size_t bytes) noexcept;

template <class T>
struct element_of {
  using type = typename T::value_type;
};
template <mapping T>
struct element_of<T> {
  using type = std::pair<typename T::key_type, typename T::mapped_type>;
};

}  // namespace detail

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
      const std::byte* bytes = from.take(n * sizeof(element));
      if (reinterpret_cast<std::uintptr_t>(bytes) % alignof(element) == 0) {
        const auto* first = reinterpret_cast<const element*>(bytes);
        if constexpr (requires { items.reserve(n); }) {
          items.reserve(n);
          detail::will_be_filled(items.data(), n * sizeof(element));
        }
        items.assign(first,
                     first + n);  // writes each page once, where resize() would write it twice
      } else {
        items.resize(n);
        if (n != 0) __builtin_memcpy(items.data(), bytes, n * sizeof(element));
      }
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

// plait/processes/span_codec.hpp: a parameter of type std::span<const T>: the call reads the elements
// where they arrived, without a copy of its own. Part of remote_call.hpp, which includes it.
#pragma once

#include <span>

#include "plait/processes/codec.hpp"

namespace plait::detail {

// What travels for such a parameter. It owns nothing: on the way it shows the caller's elements,
// in the worker those in the message, which stays while the call runs.
template <class T>
class message_span {
 public:
  template <class Range>
  requires std::is_convertible_v<Range&&, std::span<const T>> message_span(
      Range&& items)  // NOLINT: as implicit as span's own
      : items_(std::forward<Range>(items)) {}
  operator std::span<const T>() const noexcept { return items_; }

 private:
  std::span<const T> items_;
};

}  // namespace plait::detail

namespace plait {

template <class T>
requires detail::is_bytes<T>
struct codec<detail::message_span<T>> {
  // Every message begins at a multiple of 16 bytes, in both processes.
  static_assert(alignof(T) <= 16);
  static constexpr std::size_t padding(std::uintptr_t position) {
    return (alignof(T) - position % alignof(T)) % alignof(T);
  }
  static void encode(encoder& to, const detail::message_span<T>& view) {
    static constexpr std::byte nothing[16] = {};
    const std::span<const T> items = view;
    to.write_size(items.size());
    to.write(nothing, padding(to.size()));
    if (!items.empty()) to.write(items.data(), items.size_bytes());
  }
  static detail::message_span<T> decode(decoder& from) {
    const auto n = detail::read_once(from.read_plain<std::uint64_t>());
    from.take(padding(reinterpret_cast<std::uintptr_t>(from.take(0))));
    if (n > from.remaining() / sizeof(T)) detail::throw_bad_size(n, from.remaining());
    const auto* first = reinterpret_cast<const T*>(from.take(n * sizeof(T)));
    return std::span<const T>(first, static_cast<std::size_t>(n));
  }
};

}  // namespace plait

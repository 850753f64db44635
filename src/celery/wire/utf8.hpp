// celery/wire/utf8.hpp: UTF-8 (RFC 3629), and with it the halves of UTF-16 pairs that Python's
// strings may hold alone (WTF-8).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace plait::celery::detail {

enum class surrogates : bool { refused, allowed };

// A code point and the bytes it takes; none: length 0.
struct code_point {
  std::uint32_t number = 0;
  std::size_t length = 0;
};

inline code_point first_code_point(std::string_view text, surrogates s) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto follows = [&](std::size_t i) { return i < text.size() && (byte(i) & 0xc0) == 0x80; };
  const std::uint32_t first = byte(0);
  if (first < 0x80) return {first, 1};
  if (first >= 0xc2 && first < 0xe0 && follows(1)) return {(first & 31) << 6 | (byte(1) & 63u), 2};
  if (first >= 0xe0 && first < 0xf0 && follows(1) && follows(2)) {
    const std::uint32_t number = (first & 15) << 12 | (byte(1) & 63u) << 6 | (byte(2) & 63u);
    const bool half = number >= 0xd800 && number < 0xe000;
    if (number >= 0x800 && (!half || s == surrogates::allowed)) return {number, 3};
    return {};
  }
  if (first >= 0xf0 && first < 0xf5 && follows(1) && follows(2) && follows(3)) {
    const std::uint32_t number =
        (first & 7) << 18 | (byte(1) & 63u) << 12 | (byte(2) & 63u) << 6 | (byte(3) & 63u);
    if (number >= 0x10000 && number < 0x110000) return {number, 4};
  }
  return {};
}

// Halves of pairs included.
inline void append_utf8(std::string& to, std::uint32_t number) {
  const auto put = [&](std::uint32_t byte) { to += static_cast<char>(byte); };
  if (number < 0x80) {
    put(number);
  } else if (number < 0x800) {
    put(0xc0 | number >> 6);
    put(0x80 | (number & 63));
  } else if (number < 0x10000) {
    put(0xe0 | number >> 12);
    put(0x80 | (number >> 6 & 63));
    put(0x80 | (number & 63));
  } else {
    put(0xf0 | number >> 18);
    put(0x80 | (number >> 12 & 63));
    put(0x80 | (number >> 6 & 63));
    put(0x80 | (number & 63));
  }
}

}  // namespace plait::celery::detail

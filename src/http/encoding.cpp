#include "http/encoding.hpp"

#include <cstdint>

namespace plait::http {

std::string base64(std::string_view bytes) {
  constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    const std::size_t n = std::min<std::size_t>(3, bytes.size() - i);
    for (std::size_t j = 0; j < 3; ++j)
      group = group << 8 | (j < n ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    for (std::size_t j = 0; j < 4; ++j) text += j <= n ? digits[group >> (18 - 6 * j) & 63] : '=';
  }
  return text;
}

void append_form_encoded(std::string& to, std::string_view text) {
  constexpr std::string_view plain_marks = "-._*";
  constexpr char hex[] = "0123456789ABCDEF";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       plain_marks.find(c) != std::string_view::npos;
    if (plain) {
      to += c;
    } else if (c == ' ') {
      to += '+';
    } else {
      to += '%';
      to += hex[byte >> 4];
      to += hex[byte & 15];
    }
  }
}

}  // namespace plait::http

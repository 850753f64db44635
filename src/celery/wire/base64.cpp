#include "celery/wire/base64.hpp"

#include <array>
#include <cstdint>

namespace plait::celery::detail {
namespace {

constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::uint8_t not_a_digit = 0xff;
constexpr auto values = [] {
  std::array<std::uint8_t, 256> made{};
  made.fill(not_a_digit);
  for (std::uint8_t i = 0; i < 64; ++i) made[static_cast<unsigned char>(digits[i])] = i;
  return made;
}();

std::uint32_t value_of(char c) { return values[static_cast<unsigned char>(c)]; }

}  // namespace

void append_base64(std::string& to, std::string_view bytes) {
  std::size_t at = to.size();
  to.resize(at + (bytes.size() + 2) / 3 * 4);
  char* out = to.data() + at;
  const auto* in = reinterpret_cast<const unsigned char*>(bytes.data());
  std::size_t left = bytes.size();
  for (; left >= 3; left -= 3, in += 3) {
    const std::uint32_t three = std::uint32_t{in[0]} << 16 | std::uint32_t{in[1]} << 8 | in[2];
    *out++ = digits[three >> 18];
    *out++ = digits[three >> 12 & 63];
    *out++ = digits[three >> 6 & 63];
    *out++ = digits[three & 63];
  }
  if (left == 0) return;
  const std::uint32_t rest =
      std::uint32_t{in[0]} << 16 | (left == 2 ? std::uint32_t{in[1]} << 8 : 0);
  *out++ = digits[rest >> 18];
  *out++ = digits[rest >> 12 & 63];
  *out++ = left == 2 ? digits[rest >> 6 & 63] : '=';
  *out++ = '=';
}

std::optional<std::string> from_base64(std::string_view text) {
  std::string bytes;
  bytes.resize(text.size() / 4 * 3 + 3);
  char* out = bytes.data();
  const char* in = text.data();
  const char* const end = in + text.size();
  // Four digits at a time, as long as nothing else is among them.
  while (end - in >= 4) {
    const std::uint32_t a = value_of(in[0]), b = value_of(in[1]), c = value_of(in[2]),
                        d = value_of(in[3]);
    if ((a | b | c | d) > 63) break;
    const std::uint32_t three = a << 18 | b << 12 | c << 6 | d;
    *out++ = static_cast<char>(three >> 16);
    *out++ = static_cast<char>(three >> 8);
    *out++ = static_cast<char>(three);
    in += 4;
  }
  std::uint32_t bits = 0;
  unsigned count = 0, padding = 0;
  for (; in != end; ++in) {
    if (*in == '\n' || *in == '\r' || *in == ' ' || *in == '\t') continue;
    if (*in == '=') {
      if (++padding > 2) return {};
      continue;
    }
    const std::uint32_t digit = value_of(*in);
    if (digit == not_a_digit || padding != 0) return {};
    bits = bits << 6 | digit;
    if (++count == 4) {
      *out++ = static_cast<char>(bits >> 16);
      *out++ = static_cast<char>(bits >> 8);
      *out++ = static_cast<char>(bits);
      bits = count = 0;
    }
  }
  if (count == 1 || (count != 0 && count + padding != 4) || (count == 0 && padding != 0)) return {};
  if (count >= 2) *out++ = static_cast<char>(count == 2 ? bits >> 4 : bits >> 10);
  if (count == 3) *out++ = static_cast<char>(bits >> 2);
  bytes.resize(static_cast<std::size_t>(out - bytes.data()));
  return bytes;
}

}  // namespace plait::celery::detail

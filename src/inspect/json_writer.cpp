#include "inspect/json_writer.hpp"

#include <cstdio>

namespace plait::detail {
namespace {

// The length of the UTF-8 sequence that `s` begins with, 0 if it is none.
std::size_t sequence_length(std::string_view s) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
  const unsigned char lead = byte(0);
  const std::size_t n = lead < 0x80                    ? 1
                        : lead >= 0xc2 && lead <= 0xdf ? 2
                        : (lead & 0xf0) == 0xe0        ? 3
                        : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                       : 0;
  if (n == 0 || n > s.size()) return 0;
  for (std::size_t i = 1; i < n; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  if ((lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xed && byte(1) > 0x9f) ||
      (lead == 0xf0 && byte(1) < 0x90) || (lead == 0xf4 && byte(1) > 0x8f))
    return 0;
  return n;
}

}  // namespace

void json_writer::separate() {
  if (!first_) out_ += ',';
  first_ = false;
}

void json_writer::open(char c) {
  separate();
  out_ += c;
  first_ = true;
}

void json_writer::close(char c) {
  out_ += c;
  first_ = false;
}

json_writer& json_writer::key(std::string_view name) {
  separate();
  append_text(out_, name);
  out_ += ':';
  first_ = true;  // the value follows without a comma
  return *this;
}

void json_writer::text(std::string_view value) {
  separate();
  append_text(out_, value);
}

void json_writer::number(std::int64_t value) {
  separate();
  out_ += std::to_string(value);
}

void json_writer::seconds(std::int64_t nanoseconds) {
  separate();
  char digits[40];
  const int n = std::snprintf(digits, sizeof digits, "%lld.%06lld",
                              static_cast<long long>(nanoseconds / 1'000'000'000),
                              static_cast<long long>(nanoseconds % 1'000'000'000 / 1000));
  out_.append(digits, static_cast<std::size_t>(n));
}

void json_writer::append_text(std::string& out, std::string_view value) {
  out += '"';
  while (!value.empty()) {
    const std::size_t n = sequence_length(value);
    const char c = value[0];
    if (n == 0) {
      out += '?';
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", c);
      out += escaped;
    } else {
      out += value.substr(0, n);
    }
    value.remove_prefix(n == 0 ? 1 : n);
  }
  out += '"';
}

}  // namespace plait::detail

#include "http/json_text.hpp"

#include <cstddef>

namespace plait::http {
namespace {

// The length of the UTF-8 sequence at the start of `text`, or 0 if there is none (RFC 3629).
std::size_t sequence_length(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto first = byte(0);
  const std::size_t length = first < 0x80                    ? 1
                             : first >= 0xc2 && first < 0xe0 ? 2
                             : first >= 0xe0 && first < 0xf0 ? 3
                             : first >= 0xf0 && first < 0xf5 ? 4
                                                             : 0;
  if (length == 0 || length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  if (first == 0xe0 && byte(1) < 0xa0) return 0;   // longer than need be
  if (first == 0xed && byte(1) >= 0xa0) return 0;  // half of a UTF-16 pair
  if (first == 0xf0 && byte(1) < 0x90) return 0;
  if (first == 0xf4 && byte(1) >= 0x90) return 0;
  return length;
}

void append_control(std::string& to, char c) {
  constexpr char digits[] = "0123456789abcdef";
  switch (c) {
    case '\n':
      to += "\\n";
      break;
    case '\r':
      to += "\\r";
      break;
    case '\t':
      to += "\\t";
      break;
    default:
      to.append("\\u00");
      to += digits[(c >> 4) & 15];
      to += digits[c & 15];
  }
}

}  // namespace

void append_json_string(std::string& to, std::string_view text) {
  to += '"';
  while (!text.empty()) {
    // What needs no care goes over in one piece.
    std::size_t plain = 0;
    while (plain < text.size() && static_cast<unsigned char>(text[plain]) >= 0x20 &&
           static_cast<unsigned char>(text[plain]) < 0x7f && text[plain] != '"' &&
           text[plain] != '\\')
      ++plain;
    to.append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) break;
    const char c = text.front();
    if (c == '"' || c == '\\') {
      to += '\\';
      to += c;
      text.remove_prefix(1);
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      append_control(to, c);
      text.remove_prefix(1);
    } else if (const std::size_t length = sequence_length(text); length != 0) {
      to.append(text.substr(0, length));
      text.remove_prefix(length);
    } else {
      to.append("\xef\xbf\xbd");
      text.remove_prefix(1);
    }
  }
  to += '"';
}

}  // namespace plait::http

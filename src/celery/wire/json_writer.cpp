#include <charconv>
#include <cmath>
#include <cstring>

#include "celery/wire/base64.hpp"
#include "celery/wire/iso8601.hpp"
#include "celery/wire/number_text.hpp"
#include "celery/wire/utf8.hpp"
#include "plait/celery/json.hpp"

namespace plait::celery {
namespace {

constexpr char hex_digits[] = "0123456789abcdef";

void append_u(std::string& to, std::uint32_t unit) {
  to += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) to += hex_digits[unit >> shift & 15];
}

template <class Integer>
void append_integer(std::string& to, Integer i) {
  char text[24];
  const auto [end, failed] = std::to_chars(text, text + sizeof text, i);
  to.append(text, end);
}

class writer {
 public:
  writer(std::string& to, dialect d) : to_(to), dialect_(d) {}

  void write(const value& v) {
    std::visit([this](const auto& held) { write_one(held); }, v.held());
  }

 private:
  void write_one(std::nullptr_t) { to_ += "null"; }
  void write_one(bool b) { to_ += b ? "true" : "false"; }
  void write_one(std::int64_t i) { append_integer(to_, i); }
  void write_one(const big_integer& i) { to_ += i.digits; }
  void write_one(double d) {
    if (std::isnan(d))
      to_ += "NaN";
    else if (std::isinf(d))
      to_ += d < 0 ? "-Infinity" : "Infinity";
    else
      detail::append_float(to_, d);
  }
  void write_one(const std::string& text) { append_json_string(to_, text); }
  void write_one(const list& items) {
    to_ += '[';
    for (const value& each : items) {
      write(each);
      to_ += ',';
    }
    close(items.empty(), ']');
  }
  void write_one(const dict& entries) {
    // What would be taken for one of kombu's objects must not be written as if it were one.
    if (entries.size() == 2 && entries.find("__type__") != nullptr &&
        entries.find("__value__") != nullptr)
      throw encode_error(
          "a dict with just the keys \"__type__\" and \"__value__\" means something else to kombu");
    to_ += '{';
    for (const dict::entry& each : entries) {
      append_json_string(to_, each.key);
      to_ += ':';
      write(each.value);
      to_ += ',';
    }
    close(entries.empty(), '}');
  }
  void write_one(const bytes& b) {
    const std::string_view octets(reinterpret_cast<const char*>(b.data()), b.size());
    if (dialect_ == dialect::bare)
      throw encode_error("bytes cannot be sent to kombu before 5.3: send a string");
    // As kombu: text as text, all else as base64.
    if (is_text(octets)) {
      tagged("bytes", octets);
    } else {
      std::string digits;
      detail::append_base64(digits, octets);
      tagged("base64", digits);
    }
  }
  void write_one(const decimal& d) { text_or_tagged("decimal", d.text); }
  void write_one(const uuid& u) {
    const std::string text = u.to_string();
    if (dialect_ == dialect::bare) return append_json_string(to_, text);
    to_ += R"({"__type__":"uuid","__value__":{"hex":")";
    for (const char c : text)
      if (c != '-') to_ += c;
    to_ += "\"}}";
  }
  void write_one(const date& d) { text_or_tagged("date", detail::to_iso(d)); }
  void write_one(const time_of_day& t) { text_or_tagged("time", detail::to_iso(t)); }
  void write_one(const datetime& d) {
    std::string text = detail::to_iso(d);
    if (dialect_ == dialect::bare && text.ends_with("+00:00"))
      text.replace(text.size() - 6, 6, "Z");  // as kombu did
    text_or_tagged("datetime", text);
  }

  void close(bool empty, char bracket) {
    if (empty)
      to_ += bracket;
    else
      to_.back() = bracket;
  }
  void text_or_tagged(const char* type, std::string_view text) {
    if (dialect_ == dialect::bare)
      append_json_string(to_, text);
    else
      tagged(type, text);
  }
  void tagged(const char* type, std::string_view text) {
    to_ += R"({"__type__":")";
    to_ += type;
    to_ += R"(","__value__":)";
    append_json_string(to_, text);
    to_ += '}';
  }
  static bool is_text(std::string_view octets) {
    while (!octets.empty()) {
      const auto first = detail::first_code_point(octets, detail::surrogates::refused);
      if (first.length == 0) return false;
      octets.remove_prefix(first.length);
    }
    return true;
  }

  std::string& to_;
  dialect dialect_;
};

// Appends an escaped form of the first character, which needs one, and returns the bytes it had.
std::size_t append_escaped(std::string& to, std::string_view text, std::size_t at) {
  const char c = text[at];
  const char* const short_form = std::strchr("\"\"\\\\\nn\rr\tt\bb\ff", c);
  if (c != '\0' && static_cast<unsigned char>(c) < 0x80 && short_form != nullptr &&
      (c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20)) {
    to += '\\';
    to += short_form[1];
    return 1;
  }
  const auto found = detail::first_code_point(text.substr(at), detail::surrogates::allowed);
  if (found.length == 0)
    throw encode_error("a string is not UTF-8 at byte " + std::to_string(at) +
                       ": send it as bytes");
  if (found.number < 0x10000) {
    append_u(to, found.number);
  } else {
    append_u(to, 0xd800 + ((found.number - 0x10000) >> 10));
    append_u(to, 0xdc00 + ((found.number - 0x10000) & 0x3ff));
  }
  return found.length;
}

}  // namespace

namespace detail {

void append_float(std::string& to, double d) {
  char text[32];
  const auto [end, failed] =
      std::to_chars(text, text + sizeof text, d, std::chars_format::scientific);
  // "-d.ddde+XX": Python keeps that form below 1e-4 and from 1e16 on.
  char* const e = static_cast<char*>(std::memchr(text, 'e', static_cast<std::size_t>(end - text)));
  int exponent = 0;
  std::from_chars(e[1] == '+' ? e + 2 : e + 1, end, exponent);
  if (exponent < -4 || exponent >= 16) {
    to.append(text, end);
    return;
  }
  char fixed[48];
  const auto whole = std::to_chars(fixed, fixed + sizeof fixed, d, std::chars_format::fixed);
  to.append(fixed, whole.ptr);
  if (std::memchr(fixed, '.', static_cast<std::size_t>(whole.ptr - fixed)) == nullptr) to += ".0";
}

}  // namespace detail

void append_json_string(std::string& to, std::string_view text) {
  to += '"';
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size();) {
    const auto c = static_cast<unsigned char>(text[at]);
    if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
      ++at;
      continue;
    }
    to.append(text, done, at - done);
    at += append_escaped(to, text, at);
    done = at;
  }
  to.append(text, done);
  to += '"';
}

void append_json(std::string& to, const value& v, dialect d) { writer(to, d).write(v); }

std::string to_json(const value& v, dialect d) {
  std::string text;
  append_json(text, v, d);
  return text;
}

}  // namespace plait::celery

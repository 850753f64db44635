#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>

#include "celery/wire/base64.hpp"
#include "celery/wire/iso8601.hpp"
#include "celery/wire/utf8.hpp"
#include "plait/celery/json.hpp"

namespace plait::celery {
namespace {

// Bytes of a string that mean themselves.
constexpr auto plain = [] {
  std::array<bool, 256> made{};
  for (unsigned c = 0x20; c < 0x80; ++c) made[c] = c != '"' && c != '\\';
  return made;
}();

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// "-0012" never comes here: digits as JSON has them, too many for an int64.
value integer_from(std::string_view digits) {
  std::int64_t i = 0;
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), i);
  if (failed == std::errc()) return i;
  return big_integer{std::string(digits)};
}

// from_chars does not say whether a number was too large or too small; CPython makes it inf or 0.
double beyond_double(std::string_view text) {
  const bool negative = text.front() == '-';
  if (negative) text.remove_prefix(1);
  const std::size_t e = text.find_first_of("eE");
  const std::string_view mantissa = text.substr(0, e);
  std::int64_t exponent = 0;
  if (e != std::string_view::npos) {
    std::string_view digits = text.substr(e + 1);
    if (digits.front() == '+') digits.remove_prefix(1);
    if (std::from_chars(digits.data(), digits.data() + digits.size(), exponent).ec != std::errc())
      exponent = digits.front() == '-' ? std::numeric_limits<std::int64_t>::min() / 2
                                       : std::numeric_limits<std::int64_t>::max() / 2;
  }
  const std::size_t point = std::min(mantissa.find('.'), mantissa.size());
  const std::size_t first = mantissa.find_first_not_of("0.");
  if (first == std::string_view::npos) return negative ? -0.0 : 0.0;
  const auto magnitude = static_cast<std::int64_t>(point) - static_cast<std::int64_t>(first);
  const double d = magnitude + exponent > 0 ? std::numeric_limits<double>::infinity() : 0.0;
  return negative ? -d : d;
}

}  // namespace

class json_reader {
 public:
  json_reader(std::string_view text, const json_limits& limits)
      : begin_(text.data()), at_(begin_), end_(begin_ + text.size()), depth_left_(limits.depth) {
    if (text.size() > limits.bytes)
      throw decode_error(decode_error::reason::too_large, "JSON: " + std::to_string(text.size()) +
                                                              " bytes are more than the limit of " +
                                                              std::to_string(limits.bytes));
  }

  value read() {
    value v = read_value();
    skip_space();
    if (at_ != end_) fail("something follows the end");
    return v;
  }

 private:
  [[noreturn]] void fail(const char* what) const {
    throw decode_error(decode_error::reason::not_json,
                       std::string("JSON: ") + what + " at byte " + std::to_string(at_ - begin_));
  }

  void skip_space() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  }
  bool take(char c) {
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }
  bool take(std::string_view word) {
    if (!std::string_view(at_, static_cast<std::size_t>(end_ - at_)).starts_with(word))
      return false;
    at_ += word.size();
    return true;
  }

  value read_value() {
    skip_space();
    if (at_ == end_) fail("the text ends where a value is due");
    switch (*at_) {
      case '"':
        ++at_;
        return read_string();
      case '{':
        return nested([this] { return read_dict(); });
      case '[':
        return nested([this] { return read_list(); });
      case 't':
        if (take("true")) return true;
        break;
      case 'f':
        if (take("false")) return false;
        break;
      case 'n':
        if (take("null")) return nullptr;
        break;
      case 'N':
        if (take("NaN")) return std::numeric_limits<double>::quiet_NaN();
        break;
      case 'I':
        if (take("Infinity")) return std::numeric_limits<double>::infinity();
        break;
      case '-':
        if (take("-Infinity")) return -std::numeric_limits<double>::infinity();
        return read_number();
      default:
        if (is_digit(*at_)) return read_number();
    }
    fail("no value");
  }

  template <class Read>
  value nested(Read read) {
    if (depth_left_ == 0)
      throw decode_error(decode_error::reason::too_large,
                         "JSON: nested too deeply at byte " + std::to_string(at_ - begin_));
    --depth_left_;
    ++at_;
    value v = read();
    ++depth_left_;
    return v;
  }

  // Items wait in a stack of the reader until all of a container are known: it then gets the room
  // that it needs, at once.
  value read_list() {
    const std::size_t first = items_.size();
    skip_space();
    if (take(']')) return list();
    for (;;) {
      items_.push_back(read_value());
      skip_space();
      if (take(',')) continue;
      if (take(']')) break;
      fail("expected ',' or ']'");
    }
    const auto from = items_.begin() + static_cast<std::ptrdiff_t>(first);
    list made(std::make_move_iterator(from), std::make_move_iterator(items_.end()));
    items_.erase(from, items_.end());
    return made;
  }

  value read_dict() {
    const std::size_t first = entries_.size();
    skip_space();
    if (take('}')) return dict();
    for (;;) {
      skip_space();
      if (!take('"')) fail("expected a key in quotes");
      std::string key = read_string();
      skip_space();
      if (!take(':')) fail("expected ':'");
      value v = read_value();
      entries_.push_back({std::move(key), std::move(v)});
      skip_space();
      if (take(',')) continue;
      if (take('}')) break;
      fail("expected ',' or '}'");
    }
    const auto from = entries_.begin() + static_cast<std::ptrdiff_t>(first);
    dict made;
    made.entries_.assign(std::make_move_iterator(from), std::make_move_iterator(entries_.end()));
    entries_.erase(from, entries_.end());
    drop_repeated(made.entries_);
    if (made.size() == 2) return typed(std::move(made));
    return made;
  }

  // As in Python, a key that comes again keeps its place and gets the later value.
  static void drop_repeated(std::vector<dict::entry>& entries) {
    constexpr std::size_t few = 24;
    if (entries.size() <= few) {
      for (std::size_t later = 1; later < entries.size(); ++later)
        for (std::size_t i = 0; i < later; ++i)
          if (entries[i].key == entries[later].key) {
            entries[i].value = std::move(entries[later].value);
            entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(later--));
            break;
          }
      return;
    }
    std::vector<std::size_t> order(entries.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return entries[a].key < entries[b].key; });
    std::vector<bool> repeated(entries.size());
    bool any = false;
    for (std::size_t begin = 0; begin < order.size();) {
      std::size_t end = begin + 1;
      while (end < order.size() && entries[order[end]].key == entries[order[begin]].key) {
        repeated[order[end++]] = true;
        any = true;
      }
      if (end - begin > 1) entries[order[begin]].value = std::move(entries[order[end - 1]].value);
      begin = end;
    }
    if (!any) return;
    std::size_t i = 0;
    std::erase_if(entries, [&](const dict::entry&) { return repeated[i++]; });
  }

  // {"__type__": ..., "__value__": ...} is what it says it is.
  value typed(dict entries) {
    const value* const type = entries.find("__type__");
    const value* const content = entries.find("__value__");
    if (type == nullptr || content == nullptr) return entries;
    const std::string* const name = type->get_if<std::string>();
    const std::string* const text = content->get_if<std::string>();
    std::optional<value> made;
    if (name != nullptr && text != nullptr)
      made = typed_text(*name, *text);
    else if (name != nullptr && *name == "uuid")
      if (const value* hex = content->find("hex"); hex != nullptr && hex->is<std::string>())
        if (const auto u = uuid::from(*hex->get_if<std::string>())) made = *u;
    if (!made)
      throw decode_error(decode_error::reason::not_json,
                         "JSON: an object of the unknown or broken type " + repr(*type, 60) +
                             " before byte " + std::to_string(at_ - begin_));
    return *std::move(made);
  }

  static std::optional<value> typed_text(std::string_view name, const std::string& text) {
    const auto octets = [](std::string_view from) {
      const auto* const first = reinterpret_cast<const std::byte*>(from.data());
      return bytes(first, first + from.size());
    };
    const auto known = [](const auto& found) {
      return found ? std::optional<value>(*found) : std::nullopt;
    };
    if (name == "datetime") return known(detail::datetime_from(text));
    if (name == "date") {
      // kombu reads a datetime and drops the time.
      if (const auto moment = detail::datetime_from(text))
        return detail::date_from(std::string_view(text).substr(0, text[4] == '-' ? 10 : 8));
      return {};
    }
    if (name == "time") return known(detail::time_from(text));
    if (name == "decimal") return decimal{text};
    if (name == "uuid") return known(uuid::from(text));
    if (name == "bytes") return octets(text);
    if (name == "base64")
      if (const auto raw = detail::from_base64(text)) return octets(*raw);
    return {};
  }

  value read_number() {
    const char* const first = at_;
    take('-');
    if (at_ == end_ || !is_digit(*at_)) fail("expected a digit");
    if (*at_ == '0')
      ++at_;
    else
      skip_digits();
    const bool integer = at_ == end_ || (*at_ != '.' && *at_ != 'e' && *at_ != 'E');
    if (integer) return integer_from({first, static_cast<std::size_t>(at_ - first)});
    if (take('.')) require_digits();
    if (take('e') || take('E')) {
      if (!take('+')) take('-');
      require_digits();
    }
    double d = 0;
    if (std::from_chars(first, at_, d).ec == std::errc::result_out_of_range)
      d = beyond_double({first, static_cast<std::size_t>(at_ - first)});
    return d;
  }
  void skip_digits() {
    while (at_ != end_ && is_digit(*at_)) ++at_;
  }
  void require_digits() {
    if (at_ == end_ || !is_digit(*at_)) fail("expected a digit");
    skip_digits();
  }

  // Behind the opening quote.
  std::string read_string() {
    const char* const first = at_;
    while (at_ != end_ && plain[static_cast<unsigned char>(*at_)]) ++at_;
    std::string text(first, at_);
    for (;;) {
      if (at_ == end_) fail("the text ends within a string");
      const auto c = static_cast<unsigned char>(*at_);
      if (c == '"') {
        ++at_;
        return text;
      }
      if (c == '\\') {
        read_escape(text);
      } else if (c < 0x20) {
        fail("a control character in a string");
      } else if (c >= 0x80) {
        const auto found = detail::first_code_point({at_, static_cast<std::size_t>(end_ - at_)},
                                                    detail::surrogates::refused);
        if (found.length == 0) fail("no UTF-8");
        text.append(at_, found.length);
        at_ += found.length;
      }
      const char* const run = at_;
      while (at_ != end_ && plain[static_cast<unsigned char>(*at_)]) ++at_;
      text.append(run, at_);
    }
  }

  void read_escape(std::string& text) {
    if (++at_ == end_) fail("the text ends within a string");
    switch (*at_++) {
      case '"':
        text += '"';
        break;
      case '\\':
        text += '\\';
        break;
      case '/':
        text += '/';
        break;
      case 'b':
        text += '\b';
        break;
      case 'f':
        text += '\f';
        break;
      case 'n':
        text += '\n';
        break;
      case 'r':
        text += '\r';
        break;
      case 't':
        text += '\t';
        break;
      case 'u':
        detail::append_utf8(text, read_unit());
        break;
      default:
        --at_;
        fail("an unknown escape");
    }
  }

  // Of \uXXXX, and of a second one if they are a pair. A half alone stays what it is.
  std::uint32_t read_unit() {
    const std::uint32_t unit = read_hex();
    if (unit < 0xd800 || unit >= 0xdc00 || end_ - at_ < 6 || at_[0] != '\\' || at_[1] != 'u')
      return unit;
    const char* const back = at_;
    at_ += 2;
    const std::uint32_t low = read_hex();
    if (low >= 0xdc00 && low < 0xe000) return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
    at_ = back;
    return unit;
  }
  std::uint32_t read_hex() {
    if (end_ - at_ < 4) fail("\\u needs four digits");
    std::uint32_t unit = 0;
    const auto [end, failed] = std::from_chars(at_, at_ + 4, unit, 16);
    if (failed != std::errc() || end != at_ + 4 || *at_ == '-') fail("\\u needs four digits");
    at_ = end;
    return unit;
  }

  const char *const begin_, *at_, *const end_;
  std::size_t depth_left_;
  std::vector<value> items_;
  std::vector<dict::entry> entries_;
};

value parse_json(std::string_view text, const json_limits& limits) {
  return json_reader(text, limits).read();
}

}  // namespace plait::celery

#include "celery/redis/resp.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

namespace plait::celery::redis {
namespace {

// What a value costs whatever it holds.
constexpr std::size_t value_bytes = sizeof(value);
// What memory may be asked for before the bytes have come.
constexpr std::size_t trusted_bytes = 65536, trusted_items = 64;

[[noreturn]] void refuse(const std::string& what) {
  throw protocol_error("this is not what Redis answers: " + what);
}

// The line as a person can read it, cut.
std::string quoted(std::string_view line) {
  constexpr std::size_t longest = 40;
  std::string text = "\"";
  for (const char c : line.substr(0, longest)) text += c >= ' ' && c <= '~' ? c : '?';
  return text + (line.size() > longest ? "...\"" : "\"");
}

bool parse_integer(std::string_view digits, std::int64_t& into) {
  if (digits.starts_with('+') && !digits.starts_with("+-")) digits.remove_prefix(1);
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), into);
  return failed == std::errc() && end == digits.data() + digits.size() && !digits.empty();
}

bool is_whole_number(std::string_view digits) {
  if (digits.starts_with('-') || digits.starts_with('+')) digits.remove_prefix(1);
  return !digits.empty() && digits.find_first_not_of("0123456789") == std::string_view::npos;
}

bool parse_real(std::string_view text, double& into) {
  if (text == "inf" || text == "+inf") {
    into = std::numeric_limits<double>::infinity();
  } else if (text == "-inf") {
    into = -std::numeric_limits<double>::infinity();
  } else if (text == "nan" || text == "-nan") {
    into = std::numeric_limits<double>::quiet_NaN();
  } else {
    if (text.starts_with('+')) text.remove_prefix(1);
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), into);
    return failed == std::errc() && end == text.data() + text.size() && !text.empty();
  }
  return true;
}

// A length: -1 for RESP2's null.
std::int64_t parse_length(std::string_view digits) {
  std::int64_t length = 0;
  if (!parse_integer(digits, length) || length < -1) refuse("a length of " + quoted(digits));
  return length;
}

}  // namespace

std::int64_t value::as_integer() const {
  if (kind == redis::kind::error) throw server_error(text);
  std::int64_t parsed = 0;
  if (kind == redis::kind::text && parse_integer(text, parsed)) return parsed;
  if (kind != redis::kind::integer) refuse("no integer where one was expected");
  return integer;
}

const std::string& value::as_text() const {
  if (kind == redis::kind::error) throw server_error(text);
  if (kind != redis::kind::text) refuse("no text where one was expected");
  return text;
}

const std::vector<value>& value::as_array() const {
  if (kind == redis::kind::error) throw server_error(text);
  if (kind != redis::kind::array && kind != redis::kind::push && kind != redis::kind::map)
    refuse("no array where one was expected");
  return items;
}

const value* value::find(std::string_view key) const noexcept {
  for (std::size_t i = 0; i + 1 < items.size(); i += 2)
    if (items[i].text == key) return &items[i + 1];
  return nullptr;
}

command& command::add(std::string_view argument) {
  body_ += '$';
  body_ += std::to_string(argument.size());
  body_ += "\r\n";
  body_ += argument;
  body_ += "\r\n";
  ++arguments_;
  return *this;
}

command& command::add(std::int64_t argument) { return add(std::to_string(argument)); }

command& command::add(const command& more) {
  body_ += more.body_;
  arguments_ += more.arguments_;
  return *this;
}

std::string command::name() const {
  const std::size_t begin = body_.find('\n');
  if (begin == std::string::npos) return {};
  return body_.substr(begin + 1, body_.find('\r', begin) - begin - 1);
}

void append(std::string& to, const command& c) {
  to += '*';
  to += std::to_string(c.arguments_);
  to += "\r\n";
  to += c.body_;
}

std::optional<value> reader::next(std::string_view& bytes) {
  for (;;) {
    bool whole = false;
    if (in_bulk_) {
      if (!take_bulk(bytes)) return {};
      whole = true;
    } else {
      std::string_view line;
      if (!take_line(bytes, line)) return {};
      whole = begin(line);
      line_.clear();
    }
    if (whole && place()) {
      charged_ = 0;
      return std::exchange(done_, {});
    }
  }
}

bool reader::take_line(std::string_view& bytes, std::string_view& line) {
  const std::size_t end = bytes.find('\n');
  const bool ends_here = end != std::string_view::npos;
  const std::string_view piece = bytes.substr(0, ends_here ? end + 1 : bytes.size());
  if (line_.size() + piece.size() > limits_.line_bytes) refuse("a line without an end");
  bytes.remove_prefix(piece.size());
  if (!ends_here || !line_.empty()) line_ += piece;
  if (!ends_here) return false;
  line = line_.empty() ? piece : std::string_view(line_);
  line.remove_suffix(1);
  if (!line.ends_with('\r')) refuse("a line that does not end with \\r\\n");
  line.remove_suffix(1);
  return true;
}

bool reader::begin(std::string_view line) {
  if (line.empty()) refuse("an empty line");
  const char type = line.front();
  const std::string_view rest = line.substr(1);
  charge(value_bytes);
  done_ = {};
  switch (type) {
    case '+':
    case '-':
      charge(rest.size());
      done_.kind = type == '+' ? kind::text : kind::error;
      done_.text = rest;
      return true;
    case ':':
      done_.kind = kind::integer;
      if (!parse_integer(rest, done_.integer)) refuse("an integer of " + quoted(rest));
      return true;
    case '_':
      if (!rest.empty()) refuse("a null with something in it");
      return true;
    case '#':
      if (rest != "t" && rest != "f") refuse("a boolean of " + quoted(rest));
      done_.kind = kind::integer;
      done_.integer = rest == "t";
      return true;
    case ',':
      done_.kind = kind::real;
      if (!parse_real(rest, done_.real)) refuse("a double of " + quoted(rest));
      return true;
    case '(':
      if (!is_whole_number(rest)) refuse("a big number of " + quoted(rest));
      charge(rest.size());
      done_.kind = kind::big;
      done_.text = rest;
      return true;
    case '$':
    case '=':
    case '!':
      bulk_type_ = type;
      return begin_bulk(rest);
    case '*':
    case '~':
    case '>':
    case '%':
    case '|':
      return begin_aggregate(type, rest);
    default:
      refuse("a line that begins " + quoted(line));
  }
}

bool reader::begin_bulk(std::string_view digits) {
  const std::int64_t length = parse_length(digits);
  if (length == -1) {
    if (bulk_type_ != '$') refuse("a text of no length");
    return true;  // null
  }
  charge(static_cast<std::size_t>(length));
  done_.kind = bulk_type_ == '!' ? kind::error : kind::text;
  done_.text.reserve(std::min(static_cast<std::size_t>(length), trusted_bytes));
  bulk_missing_ = static_cast<std::uint64_t>(length) + 2;
  in_bulk_ = true;
  return false;
}

bool reader::take_bulk(std::string_view& bytes) {
  // The \r\n goes into the text for a moment, so that it may come in pieces.
  const std::size_t piece =
      static_cast<std::size_t>(std::min<std::uint64_t>(bulk_missing_, bytes.size()));
  done_.text += bytes.substr(0, piece);
  bytes.remove_prefix(piece);
  bulk_missing_ -= piece;
  if (bulk_missing_ != 0) return false;
  if (!done_.text.ends_with("\r\n")) refuse("a text that does not end where it was to end");
  done_.text.resize(done_.text.size() - 2);
  if (bulk_type_ == '=') {
    if (done_.text.size() < 4 || done_.text[3] != ':') refuse("a verbatim text without a format");
    done_.text.erase(0, 4);
  }
  in_bulk_ = false;
  return true;
}

bool reader::begin_aggregate(char type, std::string_view digits) {
  const std::int64_t length = parse_length(digits);
  if (length == -1) {
    if (type != '*') refuse("an aggregate of no length");
    return true;  // null
  }
  const bool pairs = type == '%' || type == '|';
  // Each item is three bytes or more; the limit keeps the doubling below from overflowing, too.
  if (static_cast<std::uint64_t>(length) > limits_.reply_bytes / value_bytes)
    refuse("more items than a reply may have");
  if (type == '>' && !open_.empty()) refuse("a push inside a reply");
  const std::uint64_t items = static_cast<std::uint64_t>(length) * (pairs ? 2 : 1);
  done_.kind = pairs ? kind::map : type == '>' ? kind::push : kind::array;
  if (items == 0) return type != '|';
  if (open_.size() == limits_.depth) refuse("replies in replies, too deep");
  done_.items.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(items, trusted_items)));
  open_.push_back({std::exchange(done_, {}), items, type == '|'});
  return false;
}

bool reader::place() {
  while (!open_.empty()) {
    aggregate& around = open_.back();
    around.whole.items.push_back(std::move(done_));
    if (--around.missing != 0) return false;
    const bool dropped = around.is_attribute;
    done_ = std::move(around.whole);
    open_.pop_back();
    if (dropped) {
      done_ = {};
      return false;
    }
  }
  return true;
}

void reader::charge(std::size_t bytes) {
  if (bytes > limits_.reply_bytes - charged_) refuse("a reply longer than the limit");
  charged_ += bytes;
}

}  // namespace plait::celery::redis

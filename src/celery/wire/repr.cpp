#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "celery/wire/iso8601.hpp"
#include "celery/wire/number_text.hpp"
#include "celery/wire/utf8.hpp"
#include "plait/celery/value.hpp"

namespace plait::celery {
namespace {

// Writes as Python's repr() does until there is enough of it.
class describer {
 public:
  explicit describer(std::size_t longest) : longest_(longest) {}

  void write(const value& v) {
    if (text_.size() <= longest_)
      std::visit([this](const auto& held) { write_one(held); }, v.held());
  }
  void write_tuple(const list& items) { write_items(items, '(', items.size() == 1 ? ",)" : ")"); }
  std::string text() && {
    if (text_.size() <= longest_) return std::move(text_);
    std::size_t end = longest_ < 3 ? 0 : longest_ - 3;
    while (end > 0 && (static_cast<unsigned char>(text_[end]) & 0xc0) == 0x80) --end;
    text_.resize(end);
    return std::move(text_) + "...";
  }

 private:
  void write_one(std::nullptr_t) { text_ += "None"; }
  void write_one(bool b) { text_ += b ? "True" : "False"; }
  void write_one(std::int64_t i) { text_ += std::to_string(i); }
  void write_one(const big_integer& i) { text_ += i.digits; }
  void write_one(double d) {
    if (std::isnan(d))
      text_ += "nan";
    else if (std::isinf(d))
      text_ += d < 0 ? "-inf" : "inf";
    else
      detail::append_float(text_, d);
  }
  void write_one(const std::string& s) { write_quoted(s, detail::surrogates::allowed); }
  void write_one(const bytes& b) {
    text_ += 'b';
    write_quoted({reinterpret_cast<const char*>(b.data()), b.size()}, std::nullopt);
  }
  void write_one(const list& items) { write_items(items, '[', "]"); }
  void write_one(const dict& entries) {
    text_ += '{';
    const char* between = "";
    for (const dict::entry& each : entries) {
      if (text_.size() > longest_) return;
      text_ += between;
      write_one(each.key);
      text_ += ": ";
      write(each.value);
      between = ", ";
    }
    text_ += '}';
  }
  void write_one(const decimal& d) { text_ += "Decimal('" + d.text + "')"; }
  void write_one(const uuid& u) { text_ += "UUID('" + u.to_string() + "')"; }
  void write_one(const date& d) { print("datetime.date(%d, %u, %u)", d.year, d.month, d.day); }
  void write_one(const time_of_day& t) {
    text_ += "datetime.time(";
    write_clock(t.since_midnight.count());
    write_zone(t.offset);
  }
  void write_one(const datetime& d) {
    constexpr std::int64_t us_per_day = 86'400'000'000;
    const std::int64_t us =
        d.at.time_since_epoch().count() + (d.offset ? d.offset->count() * 1'000'000 : 0);
    std::int64_t days = us / us_per_day, rest = us % us_per_day;
    if (rest < 0) {
      --days;
      rest += us_per_day;
    }
    const date day = detail::civil_from_days(days);
    print("datetime.datetime(%d, %u, %u, ", day.year, day.month, day.day);
    write_clock(rest);
    write_zone(d.offset);
  }

  void write_items(const list& items, char open, const char* close) {
    text_ += open;
    const char* between = "";
    for (const value& each : items) {
      if (text_.size() > longest_) return;
      text_ += between;
      write(each);
      between = ", ";
    }
    text_ += close;
  }
  // Seconds and microseconds only where they are not zero.
  void write_clock(std::int64_t us) {
    const std::int64_t all = us / 1'000'000;
    print("%d, %d", static_cast<int>(all / 3600), static_cast<int>(all / 60 % 60));
    if (us % 60'000'000 != 0) print(", %d", static_cast<int>(all % 60));
    if (us % 1'000'000 != 0) print(", %d", static_cast<int>(us % 1'000'000));
  }
  void write_zone(const std::optional<std::chrono::seconds>& offset) {
    if (offset && offset->count() == 0) text_ += ", tzinfo=datetime.timezone.utc";
    if (offset && offset->count() != 0) {
      // timedelta's days are below zero for the west, its seconds never.
      text_ += ", tzinfo=datetime.timezone(datetime.timedelta(";
      if (offset->count() < 0) text_ += "days=-1, ";
      text_ += "seconds=" + std::to_string((offset->count() + 86'400) % 86'400) + "))";
    }
    text_ += ')';
  }
  template <class... Args>
  void print(const char* format, Args... args) {
    char line[96];
    const int length = std::snprintf(line, sizeof line, format, args...);
    text_.append(line, static_cast<std::size_t>(length));
  }

  // `s`: of a str, which shows what is printable; nothing: of bytes, which shows ASCII.
  void write_quoted(std::string_view from, std::optional<detail::surrogates> s) {
    const char quote = from.find('\'') != from.npos && from.find('"') == from.npos ? '"' : '\'';
    text_ += quote;
    while (!from.empty() && text_.size() <= longest_) {
      const auto c = static_cast<unsigned char>(from.front());
      detail::code_point next{c, 1};
      if (c >= 0x80 && s) next = detail::first_code_point(from, *s);
      if (next.length == 0) next = {0xfffd, 1};
      if (c == '\n' || c == '\r' || c == '\t')
        text_ += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
      else if (c == '\\' || from.front() == quote)
        (text_ += '\\') += from.front();
      else if (c < 0x20 || (next.number >= 0x7f && next.number < 0xa0) || (c >= 0x80 && !s))
        print("\\x%02x", next.number);
      else if (next.number >= 0xd800 && next.number < 0xe000)
        print("\\u%04x", next.number);
      else
        detail::append_utf8(text_, next.number);
      from.remove_prefix(next.length);
    }
    text_ += quote;
  }

  std::string text_;
  std::size_t longest_;
};

}  // namespace

std::string repr(const value& v, std::size_t longest) {
  describer d(longest);
  d.write(v);
  return std::move(d).text();
}

std::string repr_arguments(const list& args, std::size_t longest) {
  describer d(longest);
  d.write_tuple(args);
  return std::move(d).text();
}

}  // namespace plait::celery

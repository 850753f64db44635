#include "http/http_date.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>

#include "plait/http/headers.hpp"

namespace plait::http {
namespace {

constexpr std::array<std::string_view, 12> months = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::array<std::string_view, 7> weekdays = {"Sun", "Mon", "Tue", "Wed",
                                                      "Thu", "Fri", "Sat"};

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

// RFC 6265, 5.1.1: what stands between the parts of a date.
bool is_delimiter(char c) noexcept {
  return c == 0x09 || (c >= 0x20 && c <= 0x2f) || (c >= 0x3b && c <= 0x40) ||
         (c >= 0x5b && c <= 0x60) || (c >= 0x7b && c <= 0x7e);
}

// The number of between `least` and `most` digits at the start, if no further digit follows.
std::optional<int> leading_number(std::string_view text, std::size_t least, std::size_t most) {
  std::size_t n = 0;
  int value = 0;
  while (n < text.size() && is_digit(text[n]) && n <= most) value = value * 10 + (text[n++] - '0');
  if (n < least || n > most) return std::nullopt;
  return value;
}

struct clock_time {
  int hour, minute, second;
};
std::optional<clock_time> read_time(std::string_view token) {
  int parts[3] = {};
  for (int i = 0; i < 3; ++i) {
    const auto number = leading_number(token, 1, 2);
    if (!number) return std::nullopt;
    parts[i] = *number;
    token.remove_prefix(static_cast<std::size_t>(
        std::find_if_not(token.begin(), token.end(), is_digit) - token.begin()));
    if (i == 2) break;
    if (token.empty() || token.front() != ':') return std::nullopt;
    token.remove_prefix(1);
  }
  return clock_time{parts[0], parts[1], parts[2]};
}

std::optional<int> read_month(std::string_view token) {
  if (token.size() < 3) return std::nullopt;
  for (std::size_t i = 0; i < months.size(); ++i)
    if (same_token(token.substr(0, 3), months[i])) return static_cast<int>(i) + 1;
  return std::nullopt;
}

}  // namespace

std::optional<std::int64_t> parse_http_date(std::string_view text) {
  std::optional<clock_time> time;
  std::optional<int> day, month, year;
  while (!text.empty()) {
    if (is_delimiter(text.front())) {
      text.remove_prefix(1);
      continue;
    }
    const auto end = std::find_if(text.begin(), text.end(), is_delimiter);
    const auto token = text.substr(0, static_cast<std::size_t>(end - text.begin()));
    text.remove_prefix(token.size());
    if (!time && (time = read_time(token))) continue;
    if (!day && (day = leading_number(token, 1, 2))) continue;
    if (!month && (month = read_month(token))) continue;
    if (!year) year = leading_number(token, 2, 4);
  }
  if (!time || !day || !month || !year) return std::nullopt;
  if (*year >= 70 && *year <= 99) *year += 1900;
  if (*year >= 0 && *year <= 69) *year += 2000;
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (*year < 1601 || !date.ok() || time->hour > 23 || time->minute > 59 || time->second > 60)
    return std::nullopt;
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return days * 86'400 + time->hour * 3'600 + time->minute * 60 + time->second;
}

std::string http_date(std::int64_t seconds) {
  const std::chrono::sys_seconds when{std::chrono::seconds(seconds)};
  const auto day = std::chrono::floor<std::chrono::days>(when);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(when - day);
  const auto weekday = std::chrono::weekday(day).c_encoding();
  char text[48];
  std::snprintf(text, sizeof text, "%s, %02u %s %04d %02d:%02d:%02d GMT", weekdays[weekday].data(),
                static_cast<unsigned>(date.day()),
                months[static_cast<unsigned>(date.month()) - 1].data(),
                static_cast<int>(date.year()), static_cast<int>(time.hours().count()),
                static_cast<int>(time.minutes().count()), static_cast<int>(time.seconds().count()));
  return text;
}

}  // namespace plait::http

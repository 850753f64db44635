#include "celery/wire/iso8601.hpp"

#include <cstdio>

namespace plait::celery::detail {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

constexpr std::int64_t us_per_second = 1'000'000, seconds_per_day = 86'400;

// Takes `digits` digits from the front of `text`; nothing if there are fewer.
std::optional<int> take_number(std::string_view& text, std::size_t digits) {
  if (text.size() < digits) return {};
  int number = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    if (text[i] < '0' || text[i] > '9') return {};
    number = number * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  return number;
}

bool take(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

unsigned days_in(std::int64_t year, unsigned month) {
  constexpr unsigned days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : days[month - 1];
}

std::optional<date> take_date(std::string_view& text) {
  const auto year = take_number(text, 4);
  if (!year || *year < 1) return {};
  const bool extended = take(text, '-');
  const auto month = take_number(text, 2);
  if (!month || *month < 1 || *month > 12 || (extended && !take(text, '-'))) return {};
  const auto day = take_number(text, 2);
  if (!day || *day < 1 || *day > static_cast<int>(days_in(*year, static_cast<unsigned>(*month))))
    return {};
  return date{*year, static_cast<unsigned>(*month), static_cast<unsigned>(*day)};
}

// "HH[:MM[:SS[.fraction]]]"; fractions beyond a microsecond are cut, as Python does.
std::optional<microseconds> take_time(std::string_view& text) {
  const auto hour = take_number(text, 2);
  if (!hour || *hour > 23) return {};
  std::int64_t us = *hour * 3600 * us_per_second;
  if (!take(text, ':')) return microseconds(us);
  const auto minute = take_number(text, 2);
  if (!minute || *minute > 59) return {};
  us += *minute * 60 * us_per_second;
  if (!take(text, ':')) return microseconds(us);
  const auto second = take_number(text, 2);
  if (!second || *second > 59) return {};
  us += *second * us_per_second;
  if (!take(text, '.') && !take(text, ',')) return microseconds(us);
  std::int64_t unit = us_per_second / 10;
  std::size_t digits = 0;
  for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; text.remove_prefix(1)) {
    us += (text.front() - '0') * unit;
    unit /= 10;
    ++digits;
  }
  if (digits == 0) return {};
  return microseconds(us);
}

// What is left: nothing, "Z", or "+HH[:MM[:SS]]". False: something else.
bool take_offset(std::string_view text, std::optional<seconds>& offset) {
  offset.reset();
  if (text.empty()) return true;
  if (text == "Z" || text == "z") {
    offset = seconds(0);
    return true;
  }
  const bool west = text.front() == '-';
  if (!west && text.front() != '+') return false;
  text.remove_prefix(1);
  std::int64_t total = 0;
  const auto hours = take_number(text, 2);
  if (!hours || *hours > 23) return false;
  total = *hours * 3600;
  for (const int unit : {60, 1}) {
    if (text.empty()) break;
    take(text, ':');
    const auto part = take_number(text, 2);
    if (!part || *part > 59) return false;
    total += *part * unit;
  }
  if (!text.empty()) return false;
  offset = seconds(west ? -total : total);
  return true;
}

void append_clock(std::string& to, std::int64_t us) {
  char text[32];
  const auto all = us / us_per_second;
  const int length =
      std::snprintf(text, sizeof text, "%02d:%02d:%02d", static_cast<int>(all / 3600),
                    static_cast<int>(all / 60 % 60), static_cast<int>(all % 60));
  to.append(text, static_cast<std::size_t>(length));
  if (us % us_per_second == 0) return;
  const int more = std::snprintf(text, sizeof text, ".%06d", static_cast<int>(us % us_per_second));
  to.append(text, static_cast<std::size_t>(more));
}

void append_offset(std::string& to, const std::optional<seconds>& offset) {
  if (!offset) return;
  char text[32];
  const auto all = offset->count() < 0 ? -offset->count() : offset->count();
  const int length =
      std::snprintf(text, sizeof text, "%c%02d:%02d", offset->count() < 0 ? '-' : '+',
                    static_cast<int>(all / 3600 % 100), static_cast<int>(all / 60 % 60));
  to.append(text, static_cast<std::size_t>(length));
  if (all % 60 == 0) return;
  const int more = std::snprintf(text, sizeof text, ":%02d", static_cast<int>(all % 60));
  to.append(text, static_cast<std::size_t>(more));
}

}  // namespace

// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
std::int64_t days_from_civil(std::int64_t year, unsigned month, unsigned day) noexcept {
  year -= month <= 2;
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  const auto of_era = static_cast<std::int64_t>(year - era * 400);
  const std::int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  return era * 146'097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719'468;
}

date civil_from_days(std::int64_t days) noexcept {
  days += 719'468;
  const std::int64_t era = (days >= 0 ? days : days - 146'096) / 146'097;
  const std::int64_t of_era = days - era * 146'097;
  const std::int64_t year_of_era =
      (of_era - of_era / 1460 + of_era / 36'524 - of_era / 146'096) / 365;
  const std::int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t shifted = (5 * of_year + 2) / 153;
  const auto day = static_cast<unsigned>(of_year - (153 * shifted + 2) / 5 + 1);
  const auto month = static_cast<unsigned>(shifted < 10 ? shifted + 3 : shifted - 9);
  return {static_cast<int>(year_of_era + era * 400 + (month <= 2)), month, day};
}

std::string to_iso(const date& d) {
  char text[48];
  const int length = std::snprintf(text, sizeof text, "%04d-%02u-%02u", d.year, d.month, d.day);
  return {text, static_cast<std::size_t>(length)};
}

std::string to_iso(const datetime& d) {
  const std::int64_t local = d.at.time_since_epoch().count() / us_per_second * us_per_second +
                             (d.offset ? d.offset->count() * us_per_second : 0);
  const std::int64_t us = local + d.at.time_since_epoch().count() % us_per_second;
  constexpr std::int64_t us_per_day = seconds_per_day * us_per_second;
  std::int64_t days = us / us_per_day, rest = us % us_per_day;
  if (rest < 0) {
    --days;
    rest += us_per_day;
  }
  std::string text = to_iso(civil_from_days(days));
  text += 'T';
  append_clock(text, rest);
  append_offset(text, d.offset);
  return text;
}

std::string to_iso(const time_of_day& t) {
  std::string text;
  append_clock(text, t.since_midnight.count());
  append_offset(text, t.offset);
  return text;
}

std::optional<datetime> datetime_from(std::string_view text) {
  const auto day = take_date(text);
  if (!day) return {};
  datetime made{.at = {}, .offset = {}};
  std::int64_t us =
      days_from_civil(day->year, day->month, day->day) * seconds_per_day * us_per_second;
  if (!text.empty()) {
    if (!take(text, 'T') && !take(text, ' ') && !take(text, 't')) return {};
    const auto clock = take_time(text);
    if (!clock || !take_offset(text, made.offset)) return {};
    us += clock->count();
    if (made.offset) us -= made.offset->count() * us_per_second;
  }
  made.at = datetime::instant(microseconds(us));
  return made;
}

std::optional<date> date_from(std::string_view text) {
  const auto day = take_date(text);
  return day && text.empty() ? day : std::nullopt;
}

std::optional<time_of_day> time_from(std::string_view text) {
  const auto clock = take_time(text);
  time_of_day made;
  if (!clock || !take_offset(text, made.offset)) return {};
  made.since_midnight = *clock;
  return made;
}

}  // namespace plait::celery::detail

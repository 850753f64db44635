// celery/wire/iso8601.hpp: dates and times as Python's isoformat() and fromisoformat() have them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "plait/celery/value.hpp"

namespace plait::celery::detail {

// "2024-01-02T03:04:05.678900+00:00"; the fraction only if there is one.
std::string to_iso(const datetime& d);
std::string to_iso(const date& d);
std::string to_iso(const time_of_day& t);

// A blank may stand for the T, Z for +00:00; seconds, fraction and offset may be missing, and from a
// date alone follows midnight. Nothing for what is no date, such as the 30th of February.
std::optional<datetime> datetime_from(std::string_view text);
std::optional<date> date_from(std::string_view text);
std::optional<time_of_day> time_from(std::string_view text);

// Days since 1970-01-01 of the Gregorian calendar, and back.
std::int64_t days_from_civil(std::int64_t year, unsigned month, unsigned day) noexcept;
date civil_from_days(std::int64_t days) noexcept;

}  // namespace plait::celery::detail

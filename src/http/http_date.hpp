// src/http/http_date.hpp: dates as HTTP writes them (RFC 9110, 5.6.7), and as cookies do.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace plait::http {

// Seconds since 1970 for "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT" and
// "Sun Nov  6 08:49:37 1994", by the lenient rule of RFC 6265, 5.1.1. Nothing for what is no date.
std::optional<std::int64_t> parse_http_date(std::string_view text);
// "Sun, 06 Nov 1994 08:49:37 GMT"
std::string http_date(std::int64_t seconds);

}  // namespace plait::http

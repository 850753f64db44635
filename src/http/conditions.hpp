// src/http/conditions.hpp: whether and what of a page a client wants (RFC 9110, 13 and 14).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "plait/http/headers.hpp"

namespace plait::http {

// What is known of a page: its strong entity tag, quoted, and when it last changed, in seconds
// since 1970.
struct validators {
  std::string_view tag;
  std::int64_t modified;
};

enum class verdict { send, not_modified, failed };
// By If-Match, If-Unmodified-Since, If-None-Match and If-Modified-Since, in the RFC's order.
verdict judge(const headers& asked, const validators& page);

// Whether `tag` is in a list such as `"a", W/"b"`, or the list is "*". Weakly: W/ is looked past.
bool lists_tag(std::string_view list, std::string_view tag, bool weakly) noexcept;

struct byte_range {
  std::uint64_t first = 0, size = 0;
};
enum class range_kind { whole, part, unsatisfiable };
struct wanted_range {
  range_kind kind = range_kind::whole;
  byte_range part = {};
};
// "bytes=0-99", "bytes=5-", "bytes=-5" of a page of `size` bytes; `whole` for what is no range, or
// several.
wanted_range parse_range(std::string_view text, std::uint64_t size) noexcept;
// The same, after If-Range.
wanted_range range_of(const headers& asked, const validators& page, std::uint64_t size);

}  // namespace plait::http

#include "http/conditions.hpp"

#include <algorithm>
#include <charconv>

#include "http/http_date.hpp"

namespace plait::http {
namespace {

std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Digits only; too many of them are as good as the largest number.
std::optional<std::uint64_t> number(std::string_view text) noexcept {
  if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos)
    return std::nullopt;
  std::uint64_t value = 0;
  const auto end = text.data() + text.size();
  if (std::from_chars(text.data(), end, value).ec != std::errc()) return UINT64_MAX;
  return value;
}

}  // namespace

bool lists_tag(std::string_view list, std::string_view tag, bool weakly) noexcept {
  if (trimmed(list) == "*") return true;
  for (;;) {
    const auto start = list.find('"');
    if (start == std::string_view::npos) return false;
    const auto end = list.find('"', start + 1);
    if (end == std::string_view::npos) return false;
    const bool weak = start >= 2 && list.substr(start - 2, 2) == "W/";
    if ((weakly || !weak) && list.substr(start, end + 1 - start) == tag) return true;
    list.remove_prefix(end + 1);
  }
}

verdict judge(const headers& asked, const validators& page) {
  if (asked.contains("If-Match")) {
    if (!lists_tag(asked.get("If-Match"), page.tag, false)) return verdict::failed;
  } else if (const auto since = parse_http_date(asked.get("If-Unmodified-Since"))) {
    if (page.modified > *since) return verdict::failed;
  }
  if (asked.contains("If-None-Match")) {
    if (lists_tag(asked.get("If-None-Match"), page.tag, true)) return verdict::not_modified;
  } else if (const auto since = parse_http_date(asked.get("If-Modified-Since"))) {
    if (page.modified <= *since) return verdict::not_modified;
  }
  return verdict::send;
}

wanted_range parse_range(std::string_view text, std::uint64_t size) noexcept {
  constexpr std::string_view unit = "bytes=";
  if (text.size() < unit.size() || !same_token(text.substr(0, unit.size()), unit)) return {};
  text = trimmed(text.substr(unit.size()));
  const auto dash = text.find('-');
  if (dash == std::string_view::npos || text.find(',') != std::string_view::npos) return {};
  const auto first = number(trimmed(text.substr(0, dash)));
  const auto last_text = trimmed(text.substr(dash + 1));
  const auto last = number(last_text);
  if (dash == 0) {  // so many from the end
    if (!last) return {};
    const std::uint64_t taken = std::min(*last, size);
    if (taken == 0) return {range_kind::unsatisfiable, {}};
    return {range_kind::part, {size - taken, taken}};
  }
  if (!first || (!last && !last_text.empty()) || (last && *last < *first)) return {};
  if (*first >= size) return {range_kind::unsatisfiable, {}};
  const std::uint64_t end = last ? std::min(*last, size - 1) : size - 1;
  return {range_kind::part, {*first, end - *first + 1}};
}

wanted_range range_of(const headers& asked, const validators& page, std::uint64_t size) {
  const auto text = asked.get("Range");
  if (text.empty()) return {};
  if (asked.contains("If-Range")) {
    const auto condition = trimmed(asked.get("If-Range"));
    const bool same = condition.find('"') != std::string_view::npos
                          ? !condition.starts_with("W/") && condition == page.tag
                          : parse_http_date(condition) == page.modified;
    if (!same) return {};
  }
  return parse_range(text, size);
}

}  // namespace plait::http

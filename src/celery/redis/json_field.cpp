#include "celery/redis/json_field.hpp"

#include <cstddef>

namespace plait::celery::redis {
namespace {

// From the opening quote at `at` to behind the closing one; npos if there is none.
std::size_t skip_string(std::string_view json, std::size_t at) noexcept {
  for (++at; at < json.size(); ++at) {
    if (json[at] == '\\') {
      ++at;
    } else if (json[at] == '"') {
      return at + 1;
    }
  }
  return std::string_view::npos;
}

std::size_t skip_blanks(std::string_view json, std::size_t at) noexcept {
  const std::size_t found = json.find_first_not_of(" \t\r\n", at);
  return found == std::string_view::npos ? json.size() : found;
}

}  // namespace

std::optional<std::string_view> text_field(std::string_view json, std::string_view key) noexcept {
  std::size_t depth = 0;
  for (std::size_t at = 0; at < json.size();) {
    const char c = json[at];
    if (c != '"') {
      if (c == '{' || c == '[') ++depth;
      if ((c == '}' || c == ']') && depth-- == 0) return {};
      ++at;
      continue;
    }
    const std::size_t end = skip_string(json, at);
    if (end == std::string_view::npos) return {};
    const std::string_view name = json.substr(at + 1, end - at - 2);
    at = skip_blanks(json, end);
    if (depth != 1 || name != key || at >= json.size() || json[at] != ':') continue;
    at = skip_blanks(json, at + 1);
    if (at >= json.size() || json[at] != '"') return {};
    const std::size_t close = skip_string(json, at);
    if (close == std::string_view::npos) return {};
    return json.substr(at + 1, close - at - 2);
  }
  return {};
}

}  // namespace plait::celery::redis

#include "plait/http/headers.hpp"

#include <algorithm>

#include "plait/http/errors.hpp"

namespace plait::http {
namespace {

constexpr std::string_view token_marks = "!#$%&'*+-.^_`|~";

bool in_token(char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         token_marks.find(c) != std::string_view::npos;
}

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

std::string_view trimmed(std::string_view value) noexcept {
  constexpr std::string_view blank = " \t";
  const auto first = value.find_first_not_of(blank);
  if (first == std::string_view::npos) return {};
  return value.substr(first, value.find_last_not_of(blank) - first + 1);
}

void check(std::string_view name, std::string_view value) {
  if (name.empty() || !std::all_of(name.begin(), name.end(), in_token))
    throw invalid_header("'" + std::string(name) + "' cannot be the name of a header field");
  using namespace std::string_view_literals;
  if (value.find_first_of("\r\n\0"sv) != std::string_view::npos)
    throw invalid_header("the value of header field " + std::string(name) +
                         " has a line break or a NUL in it");
}

}  // namespace

bool same_token(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i] != b[i] && lower(a[i]) != lower(b[i])) return false;
  return true;
}

headers::headers(field a, field b, field c, field d, field e, field f, field g, field h) {
  add(a.name, a.value);
  for (const auto& more : {b, c, d, e, f, g, h})
    if (!more.name.empty()) add(more.name, more.value);
}

void headers::add(std::string_view name, std::string_view value) {
  check(name, value);
  add_checked(name, trimmed(value));
}

void headers::add_checked(std::string_view name, std::string_view value) {
  text_.append(name).append(": ").append(value).append("\r\n");
}

void headers::set(std::string_view name, std::string_view value) {
  check(name, value);
  erase(name);
  add_checked(name, trimmed(value));
}

void headers::erase(std::string_view name) {
  for (std::size_t at = 0; at < text_.size();) {
    const iterator line(text().substr(at));
    const std::size_t length = line.line_length();
    if (same_token((*line).name, name)) {
      text_.erase(at, length);
    } else {
      at += length;
    }
  }
}

std::string_view headers::get(std::string_view name) const noexcept {
  for (const auto line : *this)
    if (same_token(line.name, name)) return line.value;
  return {};
}

bool headers::contains(std::string_view name) const noexcept {
  for (const auto line : *this)
    if (same_token(line.name, name)) return true;
  return false;
}

std::size_t headers::size() const noexcept {
  return static_cast<std::size_t>(std::count(text_.begin(), text_.end(), '\n'));
}

std::size_t headers::iterator::line_length() const noexcept { return rest_.find('\n') + 1; }

headers::field headers::iterator::operator*() const noexcept {
  const std::string_view line = rest_.substr(0, line_length() - 2);
  const auto colon = line.find(':');
  return {line.substr(0, colon), line.substr(colon + 2)};
}

}  // namespace plait::http

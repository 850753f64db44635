#include "plait/http/request.hpp"

#include <charconv>

#include "http/percent.hpp"
#include "plait/http/refusal.hpp"

namespace plait::http {
namespace {

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string percent_decoded(std::string_view text, plus_sign plus) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 &&
        hex_digit(text[i + 2]) >= 0) {
      result += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else if (text[i] == '+' && plus == plus_sign::is_space) {
      result += ' ';
    } else {
      result += text[i];
    }
  }
  return result;
}

std::string_view request::raw_path() const noexcept {
  std::string_view path = std::string_view(target).substr(0, target.find('?'));
  if (path.starts_with('/')) return path;
  // RFC 9112, 3.2.2: what a proxy is told, http://host/path, is understood by every server.
  const auto scheme = path.find("://");
  if (scheme == std::string_view::npos) return path;
  const auto slash = path.find('/', scheme + 3);
  return slash == std::string_view::npos ? "/" : path.substr(slash);
}

std::string request::path() const { return percent_decoded(raw_path(), plus_sign::is_itself); }

const std::string& request::path_parameter(std::string_view name) const {
  if (parameter_names != nullptr)
    for (std::size_t i = 0; i < parameter_names->size() && i < path_parameters.size(); ++i)
      if ((*parameter_names)[i] == name) return path_parameters[i];
  throw invalid_state("the route of " + target + " has no {" + std::string(name) + "}");
}

namespace detail {
namespace {

template <class Number>
Number parsed(std::string_view name, const std::string& text, Number least, Number most) {
  Number value{};
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size() || value < least || value > most)
    throw refusal(404,
                  "There is no such page: {" + std::string(name) + "} must be a whole number.");
  return value;
}

}  // namespace

long long number_parameter(std::string_view name, const std::string& text, long long least,
                           long long most) {
  return parsed(name, text, least, most);
}
unsigned long long number_parameter(std::string_view name, const std::string& text,
                                    unsigned long long most) {
  return parsed(name, text, 0ull, most);
}

}  // namespace detail

std::string_view request::query_text() const noexcept {
  const auto mark = target.find('?');
  return mark == std::string::npos ? std::string_view() : std::string_view(target).substr(mark + 1);
}

std::vector<std::pair<std::string, std::string>> request::query() const {
  std::vector<std::pair<std::string, std::string>> result;
  std::string_view rest = query_text();
  while (!rest.empty()) {
    const auto pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(pair.size() + 1, rest.size()));
    if (pair.empty()) continue;
    const auto name = pair.substr(0, pair.find('='));
    const auto value = pair.substr(std::min(name.size() + 1, pair.size()));
    result.emplace_back(percent_decoded(name, plus_sign::is_space),
                        percent_decoded(value, plus_sign::is_space));
  }
  return result;
}

}  // namespace plait::http

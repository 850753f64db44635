#include "plait/http/request.hpp"

#include "http/percent.hpp"

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

std::string request::path() const {
  return percent_decoded(std::string_view(target).substr(0, target.find('?')),
                         plus_sign::is_itself);
}

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

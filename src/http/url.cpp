#include "plait/http/url.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

#include "plait/http/errors.hpp"
#include "plait/net/endpoint.hpp"

namespace plait::http {
namespace {

[[noreturn]] void refuse(std::string_view text, const std::string& why) {
  constexpr std::size_t shown = 200;
  const std::string cut(text.substr(0, shown));
  throw invalid_url("'" + cut + (text.size() > shown ? "...'" : "'") + " is no usable URL: " + why);
}

bool is_alpha(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

std::string lowered(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return result;
}

// The length of "scheme:" at the start, or 0.
std::size_t scheme_length(std::string_view text) noexcept {
  if (text.empty() || !is_alpha(text.front())) return 0;
  const auto end = std::find_if_not(text.begin(), text.end(), [](char c) {
    return is_alpha(c) || is_digit(c) || c == '+' || c == '-' || c == '.';
  });
  return end != text.end() && *end == ':' ? static_cast<std::size_t>(end - text.begin()) + 1 : 0;
}

std::string_view trimmed(std::string_view text) noexcept {
  constexpr std::string_view blank = " \t\r\n";
  const auto first = text.find_first_not_of(blank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

void append_encoded(std::string& to, std::string_view part) {
  constexpr std::string_view unsafe = "\"<>\\^`{|}";
  for (const char c : part) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte < 0x7f && unsafe.find(c) == std::string_view::npos) {
      to += c;
    } else {
      constexpr char digits[] = "0123456789ABCDEF";
      to += '%';
      to += digits[byte >> 4];
      to += digits[byte & 15];
    }
  }
}

std::uint16_t read_port(std::string_view whole, std::string_view digits) {
  std::uint16_t port = 0;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (failure != std::errc() || end != digits.data() + digits.size() || port == 0)
    refuse(whole, "port '" + std::string(digits) + "' is not a number from 1 to 65535");
  return port;
}

std::string read_host(std::string_view whole, std::string_view host) {
  constexpr std::size_t longest_name = 253;  // RFC 1035
  if (host.empty()) refuse(whole, "it has no host");
  if (host.front() == '[') {
    const auto inner = host.substr(1, host.size() - 2);
    if (host.back() != ']' || inner.find(':') == std::string_view::npos ||
        !net::endpoint::parse(inner, 0))
      refuse(whole, "its IPv6 address cannot be read");
    return lowered(inner);
  }
  for (const char c : host) {
    if (is_alpha(c) || is_digit(c) || c == '.' || c == '-' || c == '_') continue;
    refuse(whole, static_cast<unsigned char>(c) >= 0x80
                      ? "its host is not ASCII: write it in its xn-- form"
                      : "its host has a character that no host has");
  }
  if (host.size() > longest_name) refuse(whole, "its host is longer than a name can be");
  return lowered(host);
}

// RFC 3986, 5.2.4.
std::string without_dots(std::string_view path) {
  std::vector<std::string_view> segments;
  bool ends_in_folder = false;
  while (!path.empty()) {
    path.remove_prefix(1);  // '/'
    const auto segment = path.substr(0, path.find('/'));
    path.remove_prefix(segment.size());
    ends_in_folder = segment == "." || segment == "..";
    if (segment == "..") {
      if (!segments.empty()) segments.pop_back();
    } else if (segment != ".") {
      segments.push_back(segment);
    }
  }
  std::string result;
  for (const auto segment : segments) result.append("/").append(segment);
  if (ends_in_folder || result.empty()) result += '/';
  return result;
}

}  // namespace

url::url(std::string_view text) {
  const std::string_view whole = text;
  text = trimmed(text);
  const auto scheme_end = scheme_length(text);
  if (scheme_end == 0 || text.substr(scheme_end, 2) != "//")
    refuse(whole, "it must begin with http:// or https://");
  scheme_ = lowered(text.substr(0, scheme_end - 1));
  if (scheme_ != "http" && scheme_ != "https")
    refuse(whole, "its scheme is " + scheme_ + ", not http or https");
  text.remove_prefix(scheme_end + 2);

  const auto authority = text.substr(0, text.find_first_of("/?#\\"));
  text.remove_prefix(authority.size());
  if (authority.find('@') != std::string_view::npos)
    refuse(whole, "it carries a user name: send an Authorization header field instead");
  auto host_end = authority.rfind(':');
  if (host_end == std::string_view::npos || authority.find(']', host_end) != std::string_view::npos)
    host_end = authority.size();
  host_ = read_host(whole, authority.substr(0, host_end));
  port_ = scheme_ == "https" ? 443 : 80;
  if (host_end + 1 < authority.size()) port_ = read_port(whole, authority.substr(host_end + 1));

  text = text.substr(0, text.find('#'));
  if (text.empty() || text.front() != '/') target_ = '/';
  append_encoded(target_, text);
}

std::string url::authority() const {
  std::string text = host_.find(':') == std::string::npos ? host_ : "[" + host_ + "]";
  if (port_ != (scheme_ == "https" ? 443 : 80)) text.append(":").append(std::to_string(port_));
  return text;
}

url url::resolve(std::string_view reference) const {
  reference = trimmed(reference);
  if (scheme_length(reference) != 0) return url(reference);
  if (reference.starts_with("//")) return url(scheme_ + ":" + std::string(reference));
  reference = reference.substr(0, reference.find('#'));
  if (reference.empty()) return *this;
  const auto query_at = std::min(reference.find('?'), reference.size());
  std::string path(reference.substr(0, query_at));
  const std::string_view own_path = std::string_view(target_).substr(0, target_.find('?'));
  if (path.empty()) {
    path = own_path;
  } else {
    if (path.front() != '/') path.insert(0, own_path.substr(0, own_path.rfind('/') + 1));
    path = without_dots(path);
  }
  url result = *this;
  result.target_.clear();
  append_encoded(result.target_, path);
  append_encoded(result.target_, reference.substr(query_at));
  return result;
}

}  // namespace plait::http

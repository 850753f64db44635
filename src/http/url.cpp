#include "plait/http/url.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

#include "plait/http/errors.hpp"
#include "plait/net/endpoint.hpp"

namespace plait::http {
namespace {

constexpr std::uint16_t http_port = 80, https_port = 443;

[[noreturn]] void refuse(std::string_view text, const std::string& why) {
  constexpr std::size_t shown = 200;
  const std::string cut(text.substr(0, shown));
  throw invalid_url("'" + cut + (text.size() > shown ? "...'" : "'") + " is no usable URL: " + why);
}

constexpr bool is_alpha(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

std::string lowered(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return result;
}

// What a byte may be part of.
struct byte_kinds {
  constexpr byte_kinds() noexcept {
    constexpr std::string_view unsafe = "\"<>\\^`{|}", ends = "/?#\\", white = " \t\r\n";
    constexpr auto npos = std::string_view::npos;
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const char c = static_cast<char>(byte);
      scheme[byte] = is_alpha(c) || is_digit(c) || c == '+' || c == '-' || c == '.';
      host[byte] = is_alpha(c) || is_digit(c) || c == '.' || c == '-' || c == '_';
      authority[byte] = ends.find(c) == npos;
      target[byte] = byte > 0x20 && byte < 0x7f && unsafe.find(c) == npos;
      blank[byte] = white.find(c) != npos;
    }
  }
  using kind = bool[256];
  kind scheme = {}, host = {}, authority = {}, target = {}, blank = {};
};
constexpr byte_kinds kinds;

// How many bytes of that kind `text` begins with.
std::size_t run_of(const byte_kinds::kind& kind, std::string_view text) noexcept {
  std::size_t length = 0;
  while (length < text.size() && kind[static_cast<unsigned char>(text[length])]) ++length;
  return length;
}

// The length of "scheme:" at the start, or 0.
std::size_t scheme_length(std::string_view text) noexcept {
  if (text.empty() || !is_alpha(text.front())) return 0;
  const std::size_t length = run_of(kinds.scheme, text);
  return length < text.size() && text[length] == ':' ? length + 1 : 0;
}

std::string_view trimmed(std::string_view text) noexcept {
  text.remove_prefix(run_of(kinds.blank, text));
  while (!text.empty() && kinds.blank[static_cast<unsigned char>(text.back())])
    text.remove_suffix(1);
  return text;
}

void append_encoded(std::string& to, std::string_view part) {
  for (;;) {
    const std::size_t length = run_of(kinds.target, part);
    to.append(part.substr(0, length));
    if (length == part.size()) return;
    constexpr char digits[] = "0123456789ABCDEF";
    const auto byte = static_cast<unsigned char>(part[length]);
    to += '%';
    to += digits[byte >> 4];
    to += digits[byte & 15];
    part.remove_prefix(length + 1);
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
  if (const auto good = run_of(kinds.host, host); good != host.size())
    refuse(whole, static_cast<unsigned char>(host[good]) >= 0x80
                      ? "its host is not ASCII: write it in its xn-- form"
                      : "its host has a character that no host has");
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
  const bool is_https = scheme_ == "https";
  if (!is_https && scheme_ != "http")
    refuse(whole, "its scheme is " + scheme_ + ", not http or https");
  text.remove_prefix(scheme_end + 2);

  const auto authority = text.substr(0, run_of(kinds.authority, text));
  text.remove_prefix(authority.size());
  if (authority.find('@') != std::string_view::npos)
    refuse(whole, "it carries a user name: send an Authorization header field instead");
  auto host_end = authority.rfind(':');
  if (host_end == std::string_view::npos || authority.find(']', host_end) != std::string_view::npos)
    host_end = authority.size();
  host_ = read_host(whole, authority.substr(0, host_end));
  port_ = is_https ? https_port : http_port;
  if (host_end + 1 < authority.size()) port_ = read_port(whole, authority.substr(host_end + 1));

  text = text.substr(0, text.find('#'));
  target_.reserve(text.size() + 1);
  if (text.empty() || text.front() != '/') target_ = '/';
  append_encoded(target_, text);
}

void url::append_authority(std::string& text) const {
  const bool is_v6 = host_.find(':') != std::string::npos;
  if (is_v6) text += '[';
  text += host_;
  if (is_v6) text += ']';
  if (port_ == (scheme_ == "https" ? https_port : http_port)) return;
  char digits[8] = ":";
  const auto end = std::to_chars(digits + 1, digits + sizeof digits, port_).ptr;
  text.append(digits, static_cast<std::size_t>(end - digits));
}

std::string url::authority() const {
  std::string text;
  append_authority(text);
  return text;
}

std::string url::to_string() const {
  std::string text;
  text.reserve(scheme_.size() + host_.size() + target_.size() + 12);
  text.append(scheme_).append("://");
  append_authority(text);
  text.append(target_);
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

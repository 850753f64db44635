#include "plait/http/cookie_jar.hpp"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <limits>
#include <optional>

#include "http/http_date.hpp"
#include "plait/http/errors.hpp"
#include "plait/http/headers.hpp"
#include "plait/net/endpoint.hpp"

namespace plait::http {
namespace {

constexpr std::size_t most_cookies = 3'000, most_of_a_domain = 150, longest = 4096;

std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::string lowered(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return result;
}

std::string_view path_of(const url& to) noexcept {
  const std::string_view target = to.target();
  return target.substr(0, target.find('?'));
}

// RFC 6265, 5.1.4.
std::string default_path(const url& from) {
  const auto path = path_of(from);
  const auto slash = path.rfind('/');
  return slash == 0 || slash == std::string_view::npos ? "/" : std::string(path.substr(0, slash));
}

// RFC 6265, 5.1.3.
bool domain_matches(std::string_view host, std::string_view domain) {
  if (host == domain) return true;
  return host.size() > domain.size() && host.ends_with(domain) &&
         host[host.size() - domain.size() - 1] == '.' && !net::endpoint::parse(host, 0);
}

// RFC 6265, 5.1.4.
bool path_matches(std::string_view requested, std::string_view path) noexcept {
  if (!requested.starts_with(path)) return false;
  return requested.size() == path.size() || path.ends_with('/') || requested[path.size()] == '/';
}

bool expired(const cookie& c, std::int64_t now) noexcept {
  return c.expires != 0 && c.expires <= now;
}

bool goes_to(const cookie& c, const url& to, std::int64_t now) {
  if (expired(c, now) || (c.secure && to.scheme() != "https")) return false;
  const bool of_host = c.whole_domain ? domain_matches(to.host(), c.domain) : to.host() == c.domain;
  return of_host && path_matches(path_of(to), c.path);
}

bool has_control(std::string_view text) noexcept {
  return std::any_of(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  });
}

// When a cookie with this Max-Age ends; 1, long ago, for what ends it at once.
std::optional<std::int64_t> end_of_age(std::string_view value, std::int64_t now) {
  std::int64_t age = 0;
  const char* end = value.data() + value.size();
  const auto read = std::from_chars(value.data(), end, age);
  if (read.ec == std::errc::result_out_of_range)
    return value.starts_with('-') ? 1 : std::numeric_limits<std::int64_t>::max();
  if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
  if (age <= 0) return 1;
  return age > std::numeric_limits<std::int64_t>::max() - now
             ? std::numeric_limits<std::int64_t>::max()
             : now + age;
}

}  // namespace

// RFC 6265, 5.2 and 5.3.
void cookie_jar::hear(const url& from, std::string_view set_cookie) {
  if (set_cookie.size() > longest || has_control(set_cookie)) return;
  const auto first = set_cookie.substr(0, set_cookie.find(';'));
  const auto equals = first.find('=');
  if (equals == std::string_view::npos) return;
  cookie fresh;
  fresh.name = trimmed(first.substr(0, equals));
  fresh.value = trimmed(first.substr(equals + 1));
  if (fresh.name.empty()) return;
  fresh.domain = from.host();
  fresh.path = default_path(from);

  const std::int64_t now = std::time(nullptr);
  bool has_age = false;
  set_cookie.remove_prefix(first.size());
  while (!set_cookie.empty()) {
    set_cookie.remove_prefix(1);  // ';'
    const auto attribute = set_cookie.substr(0, set_cookie.find(';'));
    set_cookie.remove_prefix(attribute.size());
    const auto sign = attribute.find('=');
    const auto name = trimmed(attribute.substr(0, sign));
    const auto value =
        sign == std::string_view::npos ? std::string_view() : trimmed(attribute.substr(sign + 1));
    if (same_token(name, "Expires") && !has_age) {
      if (const auto date = parse_http_date(value))
        fresh.expires = std::max<std::int64_t>(*date, 1);
    } else if (same_token(name, "Max-Age")) {
      if (const auto end = end_of_age(value, now)) {
        fresh.expires = *end;
        has_age = true;
      }
    } else if (same_token(name, "Domain")) {
      const auto domain = value.starts_with('.') ? value.substr(1) : value;
      if (domain.empty()) continue;
      fresh.domain = lowered(domain);
      fresh.whole_domain = true;
    } else if (same_token(name, "Path")) {
      fresh.path = value.starts_with('/') ? std::string(value) : default_path(from);
    } else if (same_token(name, "Secure")) {
      fresh.secure = true;
    }
  }
  if (fresh.whole_domain) {
    if (!domain_matches(from.host(), fresh.domain)) return;
    if (fresh.domain == from.host() && net::endpoint::parse(fresh.domain, 0)) {
      fresh.whole_domain = false;  // an address has nothing below it
    } else if (fresh.domain.find('.') == std::string::npos && fresh.domain != from.host()) {
      return;  // for all of .com
    }
  }
  if (fresh.secure && from.scheme() != "https") return;
  const std::string_view name = fresh.name;  // RFC 6265bis, 4.1.3: names that promise something
  if (name.starts_with("__Secure-") && !fresh.secure) return;
  if (name.starts_with("__Host-") && (!fresh.secure || fresh.whole_domain || fresh.path != "/"))
    return;
  keep(std::move(fresh));
}

void cookie_jar::keep(cookie fresh) {
  const std::int64_t now = std::time(nullptr);
  std::erase_if(cookies_, [&](const cookie& c) {
    return expired(c, now) ||
           (c.name == fresh.name && c.domain == fresh.domain && c.path == fresh.path);
  });
  if (expired(fresh, now)) return;
  const auto of_its_domain = [&](const cookie& c) { return c.domain == fresh.domain; };
  if (std::count_if(cookies_.begin(), cookies_.end(), of_its_domain) >=
      static_cast<std::ptrdiff_t>(most_of_a_domain))
    cookies_.erase(std::find_if(cookies_.begin(), cookies_.end(), of_its_domain));
  if (cookies_.size() >= most_cookies) cookies_.erase(cookies_.begin());
  cookies_.push_back(std::move(fresh));
}

void cookie_jar::set(cookie given) {
  headers check;
  check.add(given.name, given.value);  // throws
  if (given.value.find(';') != std::string::npos)
    throw invalid_header("the value of cookie " + given.name + " has a semicolon in it");
  given.domain = lowered(given.domain);
  keep(std::move(given));
}

std::string cookie_jar::for_request(const url& to) const {
  if (cookies_.empty()) return {};
  const std::int64_t now = std::time(nullptr);
  std::vector<const cookie*> going;
  for (const cookie& c : cookies_)
    if (goes_to(c, to, now)) going.push_back(&c);
  // RFC 6265, 5.4: longer paths first, and among them the older.
  std::stable_sort(going.begin(), going.end(), [](const cookie* a, const cookie* b) {
    return a->path.size() > b->path.size();
  });
  std::string text;
  for (const cookie* c : going) {
    if (!text.empty()) text.append("; ");
    text.append(c->name).append("=").append(c->value);
  }
  return text;
}

std::string cookie_jar::value(const url& to, std::string_view name) const {
  const std::int64_t now = std::time(nullptr);
  for (const cookie& c : cookies_)
    if (c.name == name && goes_to(c, to, now)) return c.value;
  return {};
}

std::vector<cookie> cookie_jar::all() const {
  const std::int64_t now = std::time(nullptr);
  std::vector<cookie> living;
  for (const cookie& c : cookies_)
    if (!expired(c, now)) living.push_back(c);
  return living;
}

}  // namespace plait::http

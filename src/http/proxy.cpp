#include "http/proxy.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "http/percent.hpp"
#include "plait/http/errors.hpp"
#include "plait/http/headers.hpp"

namespace plait::http {
namespace {

constexpr std::string_view direct = "direct";

std::string lowered(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return result;
}

std::string_view trimmed(std::string_view text) noexcept {
  constexpr std::string_view blank = " \t\r\n";
  const auto first = text.find_first_not_of(blank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

struct ip_address {
  std::array<unsigned char, 16> bytes{};
  unsigned size = 0;  // 4 or 16; 0: it is none
};

ip_address read_address(std::string_view text) {
  ip_address read;
  const std::string terminated(text);
  if (inet_pton(AF_INET, terminated.c_str(), read.bytes.data()) == 1) {
    read.size = 4;
  } else if (inet_pton(AF_INET6, terminated.c_str(), read.bytes.data()) == 1) {
    read.size = 16;
  }
  return read;
}

bool same_bits(const unsigned char* a, const unsigned char* b, unsigned bits) noexcept {
  const unsigned whole = bits / 8, rest = bits % 8;
  if (std::memcmp(a, b, whole) != 0) return false;
  return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

// Whether it can only be this machine.
bool is_loopback(const std::string& host) {
  if (host == "localhost" || host.ends_with(".localhost")) return true;
  const ip_address read = read_address(host);
  if (read.size == 4) return read.bytes[0] == 127;
  constexpr std::array<unsigned char, 16> loopback6{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  return read.size == 16 && read.bytes == loopback6;
}

// A variable's value, under its lower-case name or its upper-case one.
std::string from_environment(const char* lower, const char* upper) {
  const char* value = std::getenv(lower);
  if (value == nullptr && upper != nullptr) value = std::getenv(upper);
  return std::string(trimmed(value != nullptr ? value : ""));
}

template <class Number>
std::optional<Number> read_number(std::string_view digits, Number most) {
  Number number = 0;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (failure != std::errc() || end != digits.data() + digits.size() || number > most)
    return std::nullopt;
  return number;
}

}  // namespace

proxy proxy::parse(std::string_view text, std::string_view whose) {
  const auto refuse = [&](const std::string& why) {
    throw invalid_url(std::string(whose) + " names no usable proxy: " + why);
  };
  proxy result;
  text = trimmed(text);
  std::uint16_t usual = 80;
  if (const auto mark = text.find("://"); mark != std::string_view::npos) {
    const std::string scheme = lowered(text.substr(0, mark));
    if (scheme == "socks5" || scheme == "socks5h") {
      result.speaks = scheme == "socks5" ? protocol::socks5 : protocol::socks5h;
      usual = 1080;
    } else if (scheme != "http") {
      refuse("its scheme is " + scheme + ", not http, socks5 or socks5h");
    }
    text.remove_prefix(mark + 3);
  }
  if (const auto at = text.rfind('@'); at != std::string_view::npos) {
    const auto secret = text.substr(0, at);
    const auto colon = secret.find(':');
    result.user = percent_decoded(secret.substr(0, colon), plus_sign::is_itself);
    if (colon != std::string_view::npos)
      result.password = percent_decoded(secret.substr(colon + 1), plus_sign::is_itself);
    text.remove_prefix(at + 1);
  }
  if (text.ends_with('/')) text.remove_suffix(1);
  if (text.find_first_of("/?#") != std::string_view::npos)
    refuse("there is a path or a query behind its host");
  constexpr std::size_t longest = 255;  // RFC 1929
  if (result.speaks != protocol::http &&
      (result.user.size() > longest || result.password.size() > longest))
    refuse("SOCKS has no room for a user name or password of more than 255 bytes");
  if (result.speaks == protocol::http && result.user.find(':') != std::string::npos)
    refuse("a user name of basic authentication cannot have a colon in it");
  try {
    const auto colon = text.rfind(':');
    const bool has_port =
        colon != std::string_view::npos && text.find(']', colon) == std::string_view::npos;
    const url read("http://" + std::string(text));
    result.host = read.host();
    result.port = has_port ? read.port() : usual;
  } catch (const invalid_url& e) {
    refuse(e.what());
  }
  return result;
}

std::string proxy::name() const {
  const char* scheme = speaks == protocol::http     ? "http://"
                       : speaks == protocol::socks5 ? "socks5://"
                                                    : "socks5h://";
  const bool is_v6 = host.find(':') != std::string::npos;
  return scheme + (is_v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

void proxy_exceptions::add(std::string_view list) {
  while (!list.empty()) {
    const auto cut = std::min(list.find_first_of(", \t"), list.size());
    std::string_view text = list.substr(0, cut);
    list.remove_prefix(std::min(cut + 1, list.size()));
    if (text.empty()) continue;
    if (text == "*") {
      all_ = true;
      continue;
    }
    entry e;
    const auto slash = text.find('/');
    if (const auto network = read_address(text.substr(0, slash));
        slash != std::string_view::npos && network.size != 0) {
      const auto bits = read_number<unsigned>(text.substr(slash + 1), network.size * 8);
      if (!bits) continue;
      e.network = network.bytes;
      e.address_bytes = network.size;
      e.bits = *bits;
      entries_.push_back(std::move(e));
      continue;
    }
    // A port: behind the only colon, or behind the bracket of an IPv6 address.
    const auto colon = text.rfind(':');
    const bool bracketed = text.front() == '[';
    if (colon != std::string_view::npos &&
        (bracketed ? text[colon - 1] == ']' : text.find(':') == colon)) {
      e.port = read_number<std::uint16_t>(text.substr(colon + 1), 65535).value_or(0);
      text = text.substr(0, colon);
    }
    if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
    if (text.starts_with("*.")) text.remove_prefix(1);
    if (text.starts_with('.')) text.remove_prefix(1);
    if (text.ends_with('.')) text.remove_suffix(1);
    if (text.empty()) continue;
    if (const auto address = read_address(text); address.size != 0) {
      e.network = address.bytes;
      e.address_bytes = address.size;
      e.bits = address.size * 8;
    } else {
      e.host = lowered(text);
    }
    entries_.push_back(std::move(e));
  }
}

bool proxy_exceptions::contains(const url& to) const {
  if (all_) return true;
  if (entries_.empty()) return false;
  std::string_view host = to.host();
  if (host.ends_with('.')) host.remove_suffix(1);
  const ip_address address = read_address(host);
  return std::any_of(entries_.begin(), entries_.end(), [&](const entry& e) {
    if (e.port != 0 && e.port != to.port()) return false;
    if (e.host.empty())
      return e.address_bytes == address.size &&
             same_bits(e.network.data(), address.bytes.data(), e.bits);
    if (!host.ends_with(e.host)) return false;
    return host.size() == e.host.size() || host[host.size() - e.host.size() - 1] == '.';
  });
}

proxy_rules::proxy_rules(std::string_view chosen, std::string_view exceptions) {
  exceptions_.add(exceptions);
  if (chosen == direct) return;
  if (chosen.empty()) {
    read_environment();
    return;
  }
  http_ = https_ = proxy::parse(chosen, "client_options::proxy");
}

// As Python's requests: a server that runs CGI programs puts a request's Proxy field into HTTP_PROXY,
// so that name does not count there.
void proxy_rules::read_environment() {
  const std::string all = from_environment("all_proxy", "ALL_PROXY");
  const bool in_cgi = std::getenv("REQUEST_METHOD") != nullptr;
  const std::string http = from_environment("http_proxy", in_cgi ? nullptr : "HTTP_PROXY");
  const std::string https = from_environment("https_proxy", "HTTPS_PROXY");
  const auto read = [&](const std::string& own, const char* name) -> std::optional<proxy> {
    if (!own.empty()) return proxy::parse(own, std::string("the environment's ") + name);
    if (!all.empty()) return proxy::parse(all, "the environment's all_proxy");
    return std::nullopt;
  };
  http_ = read(http, "http_proxy");
  https_ = read(https, "https_proxy");
  from_environment_ = true;
  if (http_ || https_) exceptions_.add(from_environment("no_proxy", "NO_PROXY"));
}

const proxy* proxy_rules::find(const url& to) const {
  const auto& chosen = to.scheme() == "https" ? https_ : http_;
  if (!chosen || exceptions_.contains(to)) return nullptr;
  // No proxy elsewhere could reach it; as Go's net/http.
  if (from_environment_ && is_loopback(to.host())) return nullptr;
  return &*chosen;
}

}  // namespace plait::http

#include "plait/net/endpoint.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <charconv>
#include <cstring>
#include <iterator>

namespace plait::net {

static_assert(endpoint::capacity >= sizeof(sockaddr_in6));

std::optional<endpoint> endpoint::parse(std::string_view address, std::uint16_t port) {
  char text[INET6_ADDRSTRLEN + 1] = {};
  if (address.empty() || address.size() >= sizeof text ||
      address.find('\0') != std::string_view::npos)
    return std::nullopt;
  std::memcpy(text, address.data(), address.size());
  endpoint parsed;
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(parsed.storage_, &v4, parsed.size_ = sizeof v4);
  } else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(parsed.storage_, &v6, parsed.size_ = sizeof v6);
  } else {
    return std::nullopt;
  }
  return parsed;
}

bool endpoint::is_v6() const noexcept {
  sockaddr_in6 any{};
  std::memcpy(&any, storage_, sizeof any);
  return any.sin6_family == AF_INET6;
}

std::string endpoint::address() const {
  char text[INET6_ADDRSTRLEN] = "";
  sockaddr_in6 any{};
  std::memcpy(&any, storage_, sizeof any);
  if (any.sin6_family == AF_INET6) {
    inet_ntop(AF_INET6, &any.sin6_addr, text, sizeof text);
  } else if (any.sin6_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, storage_, sizeof v4);
    // By hand: glibc's inet_ntop prints the four numbers with sprintf.
    const auto* numbers = reinterpret_cast<const unsigned char*>(&v4.sin_addr);
    char* end = text;
    for (int i = 0; i < 4; ++i) {
      if (i != 0) *end++ = '.';
      end = std::to_chars(end, std::end(text), numbers[i]).ptr;
    }
    *end = 0;
  }
  return text;
}

std::uint16_t endpoint::port() const noexcept {
  sockaddr_in v4{};  // the port of an IPv6 address lies in the same place
  std::memcpy(&v4, storage_, sizeof v4);
  return ntohs(v4.sin_port);
}

std::string endpoint::to_string() const {
  const std::string host = address();
  const bool bracketed = host.find(':') != std::string::npos;
  return (bracketed ? "[" + host + "]" : host) + ":" + std::to_string(port());
}

bool operator==(const endpoint& a, const endpoint& b) noexcept {
  return a.size_ == b.size_ && std::memcmp(a.storage_, b.storage_, a.size_) == 0;
}

}  // namespace plait::net

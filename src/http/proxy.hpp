// src/http/proxy.hpp: by which proxy a request goes, if by any.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plait/http/url.hpp"

namespace plait::http {

struct proxy {
  // socks5 is told addresses, so names are resolved here; socks5h is told names.
  enum class protocol : unsigned char { http, socks5, socks5h };

  protocol speaks = protocol::http;
  std::uint16_t port = 0;
  std::string host, user, password;

  // "http://host:3128", "socks5h://user:password@host", "host:3128". `whose` is where it was written.
  // Throws invalid_url, which does not tell the password.
  static proxy parse(std::string_view text, std::string_view whose);

  bool has_credentials() const noexcept { return !user.empty() || !password.empty(); }
  // For messages: without the credentials.
  std::string name() const;
  // Whether a request for this URL is sent to the proxy itself, which passes it on: the rest goes
  // through a tunnel.
  bool passes_on(const url& to) const noexcept {
    return speaks == protocol::http && to.scheme() == "http";
  }
};

// Hosts that are reached without a proxy, as curl and requests read no_proxy: "*", names with all that
// end in them, addresses, networks (10.0.0.0/8), each with a port if it is for that port only.
class proxy_exceptions {
 public:
  void add(std::string_view list);
  bool contains(const url& to) const;

 private:
  struct entry {
    std::string host;  // empty: `network`
    std::array<unsigned char, 16> network{};
    unsigned bits = 0;
    unsigned address_bytes = 0;  // 4 or 16
    std::uint16_t port = 0;      // 0: any
  };
  std::vector<entry> entries_;
  bool all_ = false;
};

// What a session's options say, and where they say nothing the environment, which is read once.
class proxy_rules {
 public:
  proxy_rules(std::string_view chosen, std::string_view exceptions);
  // Null: straight to the server.
  const proxy* find(const url& to) const;

 private:
  void read_environment();

  std::optional<proxy> http_, https_;
  proxy_exceptions exceptions_;
  bool from_environment_ = false;
};

}  // namespace plait::http

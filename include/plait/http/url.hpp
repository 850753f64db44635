// plait/http/url.hpp: an absolute http or https URL, taken apart (RFC 3986).
//
// Bytes that may not stand in a URL (spaces, quotes, non-ASCII) are percent-encoded as browsers do;
// the fragment is dropped, it never travels. Host names are ASCII: write IDNs in their xn-- form.
// Throws:   invalid_url, which names the URL and what is wrong with it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace plait::http {

class url {
 public:
  explicit url(std::string_view text);

  // "http" or "https".
  const std::string& scheme() const noexcept { return scheme_; }
  // Without the brackets of an IPv6 address; lower case.
  const std::string& host() const noexcept { return host_; }
  std::uint16_t port() const noexcept { return port_; }
  // Path and query, as a request names them: "/a?b=c"; at least "/".
  const std::string& target() const noexcept { return target_; }
  // What the Host field says: the port only if it is not the scheme's own.
  std::string authority() const;
  void append_authority(std::string& text) const;
  std::string to_string() const;

  // What `reference` (a Location field: absolute or relative) means, seen from here.
  url resolve(std::string_view reference) const;
  // Same scheme, host and port: one pool of connections.
  bool same_origin(const url& other) const noexcept {
    return port_ == other.port_ && host_ == other.host_ && scheme_ == other.scheme_;
  }

 private:
  std::string scheme_, host_, target_;
  std::uint16_t port_ = 0;
};

}  // namespace plait::http

// plait/http/cookie_jar.hpp: the cookies of a session (RFC 6265), kept and sent as browsers do.
//
// Threads:  belongs to its session's loop.
// Limits:   3,000 cookies in all and 150 for a domain, of 4 KiB each; the oldest go first. A cookie for
//           a whole domain needs a dot in that domain, and the host must lie in it. There is no list of
//           public suffixes: a server of co.uk can set a cookie for all of co.uk.
// Cost:     nothing while it is empty.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "plait/http/url.hpp"

namespace plait::http {

struct cookie {
  std::string name = {}, value = {};
  std::string domain = {};  // lower case, without a dot in front
  std::string path = "/";
  std::int64_t expires = 0;   // seconds since 1970; 0: with the session
  bool whole_domain = false;  // for hosts below the domain as well
  bool secure = false;        // over https only
};

class cookie_jar {
 public:
  // What a response from `from` said in one Set-Cookie field; what may not be set is left out.
  void hear(const url& from, std::string_view set_cookie);
  // "a=1; b=2" for a request to `to`; "" if there are none.
  std::string for_request(const url& to) const;
  // As it is, replacing one of the same name, domain and path. The name is a token, the value has no
  // semicolon: else invalid_header.
  void set(cookie given);
  void clear() noexcept { cookies_.clear(); }
  // The value of a cookie that would be sent there; "" if there is none.
  std::string value(const url& to, std::string_view name) const;
  bool empty() const noexcept { return cookies_.empty(); }
  std::size_t size() const noexcept { return cookies_.size(); }
  // Those that have not expired, oldest first, to keep them elsewhere.
  std::vector<cookie> all() const;

 private:
  void keep(cookie fresh);
  std::vector<cookie> cookies_;  // oldest first
};

}  // namespace plait::http

// src/http/request_text.hpp: a request's first line and header, as they travel.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/proxy.hpp"
#include "plait/http/client_options.hpp"
#include "plait/http/request_options.hpp"

namespace plait::http {

// Whose credentials and cookies may travel: those of the session and request, or none, because a
// redirect has led to another server.
enum class credentials { ours, withheld };

// `length` is that of a body_source, `chunked` that it has none.
struct body_framing {
  std::optional<std::uint64_t> length = {};
  bool chunked = false;
};

// What a session says with every request that has no header of its own.
struct usual_fields {
  explicit usual_fields(const client_options& session);
  std::string text;
  bool names_host, has_cookies;
};

// With its content, if that is at hand. `relay` is a proxy that wants to see the whole URL, or null.
void append_request(std::string& text, const std::string& method, const url& to,
                    const client_options& session, const usual_fields& usual,
                    const request_options& given, body_framing framing, std::string_view cookies,
                    credentials whose, const proxy* relay);

}  // namespace plait::http

// src/http/response_text.hpp: a response as it travels.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "plait/http/response.hpp"

namespace plait::http {

enum class persistence { keep_alive, close };

enum class framing {
  length,   // Content-Length
  chunked,  // Transfer-Encoding: chunked
  to_end,   // by the end of the connection
  none,     // there is no body, and its length is not spoken of
};

// Which, for a body of that size, if it is known.
framing framing_of(const response& answer, std::optional<std::uint64_t> size, int version) noexcept;
// Appends the header to `text`. The framing is ours, whatever the handler said.
void append_header(std::string& text, const response& answer, framing how, std::uint64_t size,
                   persistence kept);
// The header and `content`.
void append_response(std::string& text, const response& answer, std::string_view method,
                     persistence kept);

}  // namespace plait::http

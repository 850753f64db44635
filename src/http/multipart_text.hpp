// src/http/multipart_text.hpp: multipart/form-data, read (RFC 2046, 5.1; RFC 7578).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plait/http/form.hpp"

namespace plait::http {

enum class form_failure { none, malformed, too_many_parts, head_too_large };

// Appends the parts of `body` to `parts`.
form_failure parse_multipart(std::string_view body, std::string_view boundary,
                             const form_limits& limits, std::vector<form_part>& parts);

// `wanted` of `text/html; charset=x` and `form-data; name="a \"b\""`; nothing if it is not there.
std::optional<std::string> parameter_of(std::string_view field, std::string_view wanted);

}  // namespace plait::http

// src/http/response_text.hpp: a response as it travels.
#pragma once

#include <string>
#include <string_view>

#include "plait/http/response.hpp"

namespace plait::http {

enum class persistence { keep_alive, close };

// Appends it to `text`. The framing is ours, whatever the handler said.
void append_response(std::string& text, const response& answer, std::string_view method,
                     persistence kept);

}  // namespace plait::http

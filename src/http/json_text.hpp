// src/http/json_text.hpp: strings as JSON writes them (RFC 8259, 7).
#pragma once

#include <string>
#include <string_view>

namespace plait::http {

// Appends `text` in quotes, escaped. Bytes above 0x7f pass as they are if they are UTF-8; each byte
// that is not becomes the replacement character.
void append_json_string(std::string& to, std::string_view text);

}  // namespace plait::http

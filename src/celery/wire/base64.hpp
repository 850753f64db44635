// celery/wire/base64.hpp: bytes as RFC 4648 writes them, with "+/" and padding.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace plait::celery::detail {

void append_base64(std::string& to, std::string_view bytes);
// White space between the digits is skipped; nothing for any other character or a wrong length.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace plait::celery::detail

// src/cli/html_text.hpp: text as it stands in a page.
#pragma once

#include <string>
#include <string_view>

namespace plait::cli {

// Control characters have no place in a page; a server's error text may hold some.
std::string escaped_html(std::string_view text);

}  // namespace plait::cli

// src/http/percent.hpp: percent-encoding, undone (RFC 3986, 2.1).
#pragma once

#include <string>
#include <string_view>

namespace plait::http {

// In a query of a form '+' means a space; in a path it means itself.
enum class plus_sign { is_itself, is_space };

// A '%' without two hex digits stays as it is.
std::string percent_decoded(std::string_view text, plus_sign plus);

}  // namespace plait::http

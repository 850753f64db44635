// src/http/encoding.hpp: text for the web: base64 (RFC 4648), and names and values of forms.
#pragma once

#include <string>
#include <string_view>

namespace plait::http {

std::string base64(std::string_view bytes);
// As application/x-www-form-urlencoded writes it: spaces as '+', others that are not plain as %41.
void append_form_encoded(std::string& to, std::string_view text);

}  // namespace plait::http

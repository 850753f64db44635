// plait/http/form.hpp: what a browser's form sent, in a handler.
//
//   const plait::http::form sent = plait::http::form_of(request);
//   const std::string name = sent.get("name");
//   if (const auto* photo = sent.find("photo")) save(photo->content);
//
// Both encodings: application/x-www-form-urlencoded, and multipart/form-data (RFC 7578). The body has
// arrived by then: the server's or the route's max_body_bytes limits it.
//
// Throws:   refusal, which is the answer: 415 for another Content-Type, 400 for what cannot be read,
//           413 beyond the limits.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "plait/http/request.hpp"

namespace plait::http {

struct form_part {
  std::string name = {};
  // As the client says it: never open a file by it.
  std::string file_name = {};
  std::string content_type = {};  // empty if none was given
  std::string content = {};
};

struct form {
  std::vector<form_part> parts = {};  // in order; a name may come again

  // The first of that name, or null.
  const form_part* find(std::string_view name) const noexcept;
  // Its content, or "".
  std::string get(std::string_view name) const;
};

struct form_limits {
  std::size_t parts = 1000;
  std::size_t head_bytes = 8 * 1024;  // of one part
};

form form_of(const request& asked, form_limits limits = {});

}  // namespace plait::http

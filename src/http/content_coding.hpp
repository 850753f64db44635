// src/http/content_coding.hpp: Content-Encoding undone while the bytes arrive: gzip, deflate, br, zstd.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace plait::http {

// What we say in Accept-Encoding.
inline constexpr std::string_view accepted_codings = "gzip, br, zstd";

class content_decoder {
 public:
  virtual ~content_decoder() = default;
  // Appends what `bytes` mean to `to`, at most `room` bytes, and takes from `bytes` what it used. True: it
  // stopped for want of room, and has more to give, if need be without further bytes. A few bytes can
  // mean gigabytes: the caller says when it is enough. Throws protocol_error for what is not of the coding.
  virtual bool decode(std::string_view& bytes, std::string& to, std::size_t room) = 0;
  // No more bytes will come. Throws protocol_error if the coding's end is missing.
  virtual void finish() = 0;
};

// For a Content-Encoding field, several codings in a row included. Null: nothing to undo, or a coding
// that we did not ask for: then the body stays as it came.
std::unique_ptr<content_decoder> decoder_for(std::string_view content_encoding);

}  // namespace plait::http

#include <algorithm>
#include <array>
#include <string_view>

#include "plait/http/headers.hpp"
#include "plait/http/static_files.hpp"

namespace plait::http {
namespace {

struct known {
  std::string_view suffix, type;
};
// From IANA's registry, as browsers need them.
constexpr std::array types{
    known{"avif", "image/avif"},
    known{"bin", "application/octet-stream"},
    known{"bmp", "image/bmp"},
    known{"css", "text/css; charset=utf-8"},
    known{"csv", "text/csv; charset=utf-8"},
    known{"flac", "audio/flac"},
    known{"gif", "image/gif"},
    known{"gz", "application/gzip"},
    known{"htm", "text/html; charset=utf-8"},
    known{"html", "text/html; charset=utf-8"},
    known{"ico", "image/vnd.microsoft.icon"},
    known{"jpeg", "image/jpeg"},
    known{"jpg", "image/jpeg"},
    known{"js", "text/javascript; charset=utf-8"},
    known{"json", "application/json"},
    known{"log", "text/plain; charset=utf-8"},
    known{"md", "text/markdown; charset=utf-8"},
    known{"mjs", "text/javascript; charset=utf-8"},
    known{"mp3", "audio/mpeg"},
    known{"mp4", "video/mp4"},
    known{"ogg", "audio/ogg"},
    known{"otf", "font/otf"},
    known{"pdf", "application/pdf"},
    known{"png", "image/png"},
    known{"svg", "image/svg+xml"},
    known{"tar", "application/x-tar"},
    known{"ttf", "font/ttf"},
    known{"txt", "text/plain; charset=utf-8"},
    known{"wasm", "application/wasm"},
    known{"wav", "audio/wav"},
    known{"webm", "video/webm"},
    known{"webmanifest", "application/manifest+json"},
    known{"webp", "image/webp"},
    known{"woff", "font/woff"},
    known{"woff2", "font/woff2"},
    known{"xhtml", "application/xhtml+xml"},
    known{"xml", "application/xml"},
    known{"zip", "application/zip"},
    known{"zst", "application/zstd"},
};

}  // namespace

std::string_view content_type_of(std::string_view file_name) noexcept {
  const auto dot = file_name.rfind('.');
  if (dot != std::string_view::npos) {
    const auto found = std::find_if(types.begin(), types.end(), [&](const known& k) {
      return same_token(k.suffix, file_name.substr(dot + 1));
    });
    if (found != types.end()) return found->type;
  }
  return "application/octet-stream";
}

}  // namespace plait::http

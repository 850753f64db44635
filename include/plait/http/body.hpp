// plait/http/body.hpp: bodies of requests that are sent piece by piece.
//
//   session.put(url, request_options().with_body(file_body("/data/large.iso")));
//   session.post(url, request_options().with_multipart(
//       multipart().add_field("name", "me").add_file("photo", "/home/me/photo.jpg", "image/jpeg")));
//
// The next piece is asked for when the connection has taken the one before: a body of any size needs
// the memory of one piece.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plait/coroutines/task.hpp"

namespace plait::http {

// Derive from it for bodies of your own. One request uses it at a time, on the session's loop.
// What it throws ends the request, which throws it.
class body_source {
 public:
  virtual ~body_source() = default;
  // Goes to the first byte. Called before each sending: redirects and retries send again. False: that
  // cannot be done a second time.
  virtual task<bool> rewind() = 0;
  // How many bytes it has, after rewind(). Nothing: not known, so it is sent in chunks.
  virtual std::optional<std::uint64_t> size() const = 0;
  // The next piece, valid until the next call; empty at the end.
  virtual task<std::string_view> next() = 0;
};

// A file's bytes, read while they are sent. Throws net::file_error; and connection_lost if the file
// becomes shorter meanwhile.
std::shared_ptr<body_source> file_body(std::string path);

// A form with files: multipart/form-data (RFC 7578). Names and file names may have any characters.
class multipart {
 public:
  multipart&& add_field(std::string_view name, std::string_view value) &&;
  // Contents at hand, under a file name.
  multipart&& add_content(std::string_view name, std::string_view file_name, std::string content,
                          std::string_view type = "application/octet-stream") &&;
  // A file's, read while they are sent; its file name is the last part of the path.
  multipart&& add_file(std::string_view name, std::string path,
                       std::string_view type = "application/octet-stream") &&;

  // For request_options: the body, and the field that goes with it.
  std::shared_ptr<body_source> body() &&;
  std::string content_type() const;

 private:
  struct part {
    std::string head, content;
    std::shared_ptr<body_source> file;  // instead of content
  };
  friend class multipart_body;
  multipart&& add(std::string_view name, std::string_view file_name, std::string_view type, part p);
  std::vector<part> parts_;
  std::string boundary_ = fresh_boundary();
  static std::string fresh_boundary();
};

}  // namespace plait::http

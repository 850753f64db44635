// plait/http/streamed.hpp: responses whose bodies are made while they are sent.
//
//   co_return plait::http::streamed("text/csv", [rows](plait::http::body_writer& out) {
//     return write_rows(rows, out);   // plait::task<>: co_await out.write(line) ...
//   });
//
// Travels in chunks to clients of HTTP/1.1, and up to the end of the connection to those of 1.0; with
// a length if the body knows its size.
//
// Stops:    when the client leaves, which is noticed also while nothing is written: the producer is
//           stopped at its await, as any task. A client that ends its own side only (nc -N) counts as
//           having left.
// Throws:   what the producer throws goes to the unhandled-exception handler, and cuts the
//           connection: the client must not take half an answer for a whole one.
// Waits:    write() until the kernel has taken the piece; for more than write_timeout without
//           progress, the connection is closed.
// Cost:     no copy of pieces above 16 KiB; smaller ones are copied once.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "plait/coroutines/task.hpp"
#include "plait/http/body.hpp"
#include "plait/http/response.hpp"

namespace plait::http {

// Where a producer writes. One write at a time.
class body_writer {
 public:
  // `piece` must stay where it is meanwhile.
  virtual task<> write(std::string_view piece) = 0;

 protected:
  ~body_writer() = default;
};

// Derive from it for bodies of your own.
class response_body {
 public:
  virtual ~response_body() = default;
  // How many bytes write_to() will write; nothing: that is not known.
  virtual std::optional<std::uint64_t> size() const { return std::nullopt; }
  // Once, on the server's loop.
  virtual task<> write_to(body_writer& out) = 0;
};

using body_producer = std::function<task<>(body_writer&)>;

// `producer`, a coroutine function, is kept until the body has ended, so it may capture.
response streamed(std::string_view content_type, body_producer producer);
// What the client can send, the server can: file_body(path), or a body_source of your own.
response streamed(std::string_view content_type, std::shared_ptr<body_source> source);

}  // namespace plait::http

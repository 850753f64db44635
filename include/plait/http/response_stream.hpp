// plait/http/response_stream.hpp: a response whose body is taken piece by piece.
//
//   auto download = co_await session.stream("GET", url);
//   download.raise_for_status();
//   for (std::string piece = co_await download.read_some(); !piece.empty(); piece = co_await download.read_some())
//     co_await file.write_all(piece);
//
// The server is read no faster than the pieces are taken. Taken to its end, the connection serves
// other requests; otherwise it is closed with this object.
//
// Threads:  belongs to its session's loop and must be gone before the session.
// Stops:    a stopped read loses nothing: the next one goes on there.
// Throws:   as client_session; timeout_error after timeouts.read.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "plait/coroutines/task.hpp"
#include "plait/http/response.hpp"

namespace plait::http {

class open_exchange;

class response_stream {
 public:
  explicit response_stream(std::unique_ptr<open_exchange> exchange) noexcept;
  response_stream(response_stream&&) noexcept;
  response_stream& operator=(response_stream&&) noexcept;
  ~response_stream();

  // Everything but the body.
  const response& head() const noexcept;
  int status_code() const noexcept { return head().status_code; }
  const http::headers& headers() const noexcept { return head().headers; }
  const std::string& url() const noexcept { return head().url; }
  bool ok() const noexcept { return head().ok(); }
  void raise_for_status() const { head().raise_for_status(); }
  // How many bytes will travel, if the server said so; compressed, if they are.
  std::optional<std::uint64_t> content_length() const noexcept;

  // What has come, up to some 64 KiB (compressed); "" at the end.
  task<std::string> read_some();
  // The rest; a body above `most` bytes is a protocol_error.
  task<std::string> read_all(std::uint64_t most = std::uint64_t{1} << 30);

 private:
  task<> read_into(std::string& piece);
  std::unique_ptr<open_exchange> exchange_;
};

}  // namespace plait::http

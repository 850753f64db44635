// plait/http/transport.hpp: the seam between the client and the network.
//
// The client speaks HTTP over byte streams that a transport connects. The default transport is TCP
// (and TLS for https); tests stand another one in its place.
//
// Threads:  everything on the session's loop.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "plait/coroutines/task.hpp"
#include "plait/http/url.hpp"

namespace plait::net {
class tcp_stream;
}

namespace plait::http {

// Non-blocking calls and waits apart, so that nobody holds a buffer while waiting. What fails
// throws net::error or http::error.
class byte_stream {
 public:
  virtual ~byte_stream() = default;
  // How many bytes were there, 0 at the end of the stream, nothing if none have come yet.
  virtual std::optional<std::size_t> try_read(std::span<char> into) = 0;
  // How many were taken; 0 if none can be now.
  virtual std::size_t try_write(std::string_view bytes) = 0;
  // Wait until the calls above may do more. Stopped, they leave the stream open.
  virtual task<> readable() = 0;
  virtual task<> writable() = 0;
  // For a stream on which nothing is under way: false if it is known to have ended.
  virtual bool reusable() const noexcept = 0;
  // What readable() awaits, if that is a connection and nothing else: then its users save a frame by
  // awaiting it themselves.
  virtual net::tcp_stream* tcp() noexcept { return nullptr; }
  // What both ends agreed to speak (ALPN): "h2", "http/1.1"; "" if nobody asked.
  virtual std::string_view protocol() const noexcept { return {}; }
};

class transport {
 public:
  virtual ~transport() = default;
  // Connects to the scheme, host and port of `to`.
  virtual task<std::unique_ptr<byte_stream>> connect(const url& to) = 0;
};

}  // namespace plait::http

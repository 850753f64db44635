// src/http/http2_connection.hpp: one HTTP/2 connection (RFC 9113), shared by many requests.
//
// Each request gets a byte_stream of its own, which takes a request as HTTP/1.1 writes it and gives the
// response likewise: so everything above (cookies, redirects, codings, limits, streaming) is the same code for
// both versions, and this file is the whole difference. nghttp2 reads and writes the frames.
//
// One flow owns the connection: it reads, answers pings and settings, and writes what the streams
// have for it, many streams' frames with one system call. It ends with close(), with the connection, or
// with the loop; then every stream hears of it.
//
// Threads:  the loop's.
// Memory:   what nobody reads is at most a window a stream: the server may send no more until it is read.
//           What is to be sent is pulled when the server's window has room.
// Stops:    a stream that is destroyed before its end is reset (CANCEL); the connection lives on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>

#include "plait/core/clock.hpp"
#include "plait/core/future.hpp"
#include "plait/coroutines/event.hpp"
#include "plait/coroutines/task_group.hpp"
#include "plait/http/errors.hpp"
#include "plait/http/request.hpp"
#include "plait/http/transport.hpp"

struct nghttp2_session;

namespace plait::http {

// The server says that it has not begun with the request: it may be sent again, whatever its method.
class not_processed final : public connection_lost {
 public:
  using connection_lost::connection_lost;
};

class http2_stream;

class http2_connection final : public std::enable_shared_from_this<http2_connection> {
 public:
  struct options {
    std::string whom;  // for messages
    std::size_t most_header_bytes = 64 * 1024;
    // Called when accepts() may have become true, or the connection has ended.
    std::function<void()> on_change = {};
  };
  // Begins to speak on `over`, on the loop that runs on this thread.
  static std::shared_ptr<http2_connection> start(std::unique_ptr<byte_stream> over, options given);
  http2_connection(std::unique_ptr<byte_stream> over, options given);
  http2_connection(const http2_connection&) = delete;
  ~http2_connection();

  // Whether one more request may begin now.
  bool accepts() const noexcept;
  // For the whole of one request; `scheme` as its URL has it.
  std::unique_ptr<byte_stream> open_stream(const std::string& scheme);
  // Takes no further request, because it has ended or will when the last stream has.
  bool leaving() const noexcept;
  std::size_t streams() const noexcept { return live_; }
  std::uint64_t streams_ever() const noexcept { return ever_; }
  // Since when there has been no stream.
  time_point idle_since() const noexcept { return idle_since_; }
  // Ends it, and whatever is under way. on_change is not called any more.
  void close() noexcept;

 private:
  friend http2_stream;
  struct frames;  // nghttp2's callbacks

  static task<> run(std::shared_ptr<http2_connection> self);
  task<> converse(task_group& group);
  task<> write_all_the_time(task_group& group);
  // What nghttp2 has to send goes to outgoing_; false if there is nothing to write then.
  bool collect();
  void want_write() noexcept { wake_writer_.set(); }
  void end(std::exception_ptr why) noexcept;
  [[noreturn]] void throw_broken() const;
  void notify() noexcept;
  void refuse_above(std::int32_t last);

  // For the streams.
  enum class body_to_come { none, some };
  std::int32_t begin(http2_stream& stream, const request& asked, const std::string& scheme,
                     body_to_come body);
  void body_goes_on(std::int32_t id) noexcept;
  void consumed(std::int32_t id, std::size_t bytes) noexcept;
  void drop(http2_stream& stream) noexcept;
  void add(http2_stream& stream) noexcept;
  void remove(http2_stream& stream) noexcept;

  std::unique_ptr<byte_stream> over_;
  const options options_;
  nghttp2_session* session_ = nullptr;
  http2_stream* first_ = nullptr;  // of the streams that have not ended
  std::size_t live_ = 0;
  std::uint64_t ever_ = 0;
  event wake_writer_;
  std::string outgoing_;
  std::size_t sent_ = 0;
  std::string complaint_;  // nghttp2's, of what the server did
  future<> running_;
  time_point idle_since_;
  bool goaway_ = false;
  bool broken_off_ = false;  // by us: the server has broken the rules
  bool ended_ = false;
  bool closed_ = false;
};

}  // namespace plait::http

// plait/http/event_stream.hpp: server-sent events (WHATWG HTML, 9.2): one response that goes on.
//
//   co_return plait::http::event_stream([](plait::http::event_sender& to) { return tell(to); });
//
//   plait::task<> tell(plait::http::event_sender& to) {
//     for (;;) co_await to.send(plait::http::server_event(co_await next_news()).with_id("7"));
//   }
//
// A comment is sent after each `heartbeat` of silence, so that proxies keep the connection.
//
// Stops:    the producer, when the client leaves, also while nothing is sent. A client reconnects
//           by itself, and says which event it saw last: last_event_id().
// Throws:   as streamed().
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "plait/core/clock.hpp"
#include "plait/coroutines/task.hpp"
#include "plait/http/request.hpp"
#include "plait/http/response.hpp"

namespace plait::http {

class server_event {
 public:
  // Text of any number of lines; \r\n and \r end a line as \n does, and arrive as that.
  explicit server_event(std::string data) : data_(std::move(data)) {}
  // Both throw invalid_header for text with a line break, the second for a NUL as well: a client
  // would take the rest for something else, or ignore it.
  server_event&& with_event(std::string name) &&;
  server_event&& with_id(std::string id) &&;
  // How long the client waits before it connects again.
  server_event&& with_retry(duration pause) &&;
  // As it travels.
  std::string text() const;

 private:
  std::string data_, fields_;
};

class event_sender {
 public:
  task<> send(const server_event& event) { return write(event.text()); }
  // A line that clients ignore.
  task<> comment(std::string_view text);

 protected:
  virtual task<> write(std::string text) = 0;
  ~event_sender() = default;
};

struct event_stream_options {
  duration heartbeat = std::chrono::seconds(15);  // duration::max(): none
};

// `producer`, a coroutine function, is kept until the stream has ended, so it may capture.
response event_stream(std::function<task<>(event_sender&)> producer,
                      event_stream_options wanted = {});

// What a client that connects again has seen last; empty for a new one.
std::string_view last_event_id(const request& asked) noexcept;

}  // namespace plait::http

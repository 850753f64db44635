#include "http/server_connection.hpp"

#include <optional>

#include "http/message_parser.hpp"
#include "http/receive_buffer.hpp"
#include "http/response_text.hpp"
#include "plait/coroutines/timer.hpp"

namespace plait::http {
namespace {

using phase = live_connection::phase;

response refusal(int code, std::string_view why) {
  response answer{.status_code = code, .headers = {{"Content-Type", "text/plain"}}};
  answer.content.append(why).append("\n");
  return answer;
}

response refusal_of(const request_parser& parser, const server_options& options) {
  switch (parser.failure()) {
    case parse_failure::header_too_large:
      return refusal(431, "The header may have " + std::to_string(options.max_header_bytes) +
                              " bytes at most.");
    case parse_failure::body_too_large:
      return refusal(
          413, "The body may have " + std::to_string(options.max_body_bytes) + " bytes at most.");
    default:
      return refusal(400, "This is not an HTTP/1.1 request: " + parser.complaint() + ".");
  }
}

// One system call if the kernel takes it all. Late takers are stopped by the deadline.
task<> send_rest(server_context& server, live_connection& self, net::tcp_stream& stream,
                 std::string rest) {
  std::size_t sent = 0;
  while (sent < rest.size()) {
    self.enter(phase::sending, server.options.write_timeout);
    co_await stream.writable();
    sent += stream.try_write(std::string_view(rest).substr(sent));
  }
}

// Writes `answer`; returns what the kernel did not take.
std::string begin_send(net::tcp_stream& stream, const response& answer, std::string_view method,
                       persistence kept) {
  thread_local std::string text;
  text.clear();
  append_response(text, answer, method, kept);
  const std::size_t sent = stream.try_write(text);
  std::string rest = text.substr(sent);
  constexpr std::size_t worth_keeping = 256 * 1024;
  if (text.capacity() > worth_keeping) text = std::string();
  return rest;
}

// What a handler that threw leads to.
response failed(std::exception_ptr error, const std::string& what) {
  plait::detail::report_unhandled(std::move(error), "the handler of " + what);
  return refusal(500, "The server failed to answer this request.");
}

// Lets the client read a refusal before the connection is gone: closing with bytes unread would
// reset it, and the refusal with it (RFC 9112, 9.6).
task<> linger(live_connection& self, net::tcp_stream& stream) {
  constexpr duration longest = std::chrono::seconds(2);
  constexpr std::size_t most = std::size_t{16} << 20;
  co_await stream.shutdown_write();
  self.enter(phase::sending, longest);
  for (std::size_t discarded = 0; discarded < most;) {
    co_await stream.readable();
    const auto got = stream.try_read(receive_buffer());
    if (got == std::size_t{0}) co_return;
    discarded += got.value_or(0);
  }
}

enum class arrival { request, end, refused };

// Reads one request. `pending` holds what came before it was asked for, then what came after it.
task<arrival> receive(server_context& server, live_connection& self, net::tcp_stream& stream,
                      std::string& pending, const request& asked, request_parser& parser) {
  bool continued = false;
  for (bool first = true;; first = false) {
    if (!first || pending.empty()) {
      co_await stream.readable();
      const auto got = stream.try_read(receive_buffer());
      if (!got) continue;
      if (*got == 0) co_return arrival::end;
      feed(parser, pending, std::string_view(receive_buffer().data(), *got));
    } else {
      feed(parser, pending, {});
    }
    if (parser.is_done()) co_return arrival::request;
    if (parser.failure() != parse_failure::none) co_return arrival::refused;
    if (self.now_in() == phase::waiting) self.enter(phase::receiving, server.options.read_timeout);
    if (!continued && parser.is_header_done() &&
        same_token(asked.headers.get("Expect"), "100-continue")) {
      continued = true;
      co_await stream.write_all("HTTP/1.1 100 Continue\r\n\r\n");
    }
  }
}

task<> converse_until_closed(server_context& server, live_connection& self,
                             net::tcp_stream& stream) {
  const message_limits limits{server.options.max_header_bytes, server.options.max_body_bytes};
  constexpr int fair_share = 64;  // pipelined requests that are answered before others have a turn
  std::string pending;
  for (int turn = 1;; ++turn) {
    self.enter(phase::waiting, server.options.idle_timeout);
    request asked;
    std::optional<request_parser> parser(std::in_place, asked, limits);
    const auto arrived = co_await receive(server, self, stream, pending, asked, *parser);
    if (arrived == arrival::end) co_return;
    self.enter(phase::answering, duration::max());
    response answer;
    std::string method = asked.method;
    persistence kept = persistence::close;
    if (arrived == arrival::refused) {
      answer = refusal_of(*parser, server.options);
    } else {
      if (parser->keep_alive()) kept = persistence::keep_alive;
      parser.reset();
      asked.peer = stream.peer();
      std::exception_ptr error;
      std::string what;
      try {
        what = method + " " + asked.target;
        answer = co_await server.handler(std::move(asked));
      } catch (...) {
        error = std::current_exception();
      }
      if (error != nullptr && self.flow().stopping()) std::rethrow_exception(error);
      if (error != nullptr) answer = failed(std::move(error), what);
    }
    ++server.requests;
    if (self.draining()) kept = persistence::close;
    std::string rest = begin_send(stream, answer, method, kept);
    if (!rest.empty()) co_await send_rest(server, self, stream, std::move(rest));
    if (arrived == arrival::refused) co_await linger(self, stream);
    if (kept == persistence::close) co_return;
    if (turn % fair_share == 0 && !pending.empty()) co_await sleep(duration::zero());
  }
}

}  // namespace

task<> converse(server_context& server, live_connection& self, net::tcp_stream stream) {
  try {
    bool late = false;
    try {
      co_await converse_until_closed(server, self, stream);
    } catch (const cancelled_error&) {
      late = self.timed_out() && self.now_in() == phase::receiving;
    }
    if (late)
      begin_send(stream, refusal(408, "The request took too long to arrive."), "",
                 persistence::close);
  } catch (const net::connection_closed&) {
    // The client went away: its own affair.
  }
}

}  // namespace plait::http

// src/http/conversation.hpp: what a server hears and says on one connection, plain or over TLS.
//
//   waiting     for a request's first byte; nothing is held but this object
//   receiving   its header, and its body unless the route wants to have that piece by piece
//   answering   the handler runs, or the producer of a body; the client may take its time
//   sending     what the kernel has not taken yet
//
// A Stream is tcp_stream or tls_stream: what try_write() took of the second is sent by writable().
#pragma once

#include <charconv>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "http/message_parser.hpp"
#include "http/receive_buffer.hpp"
#include "http/response_text.hpp"
#include "http/server_connection.hpp"
#include "plait/coroutines/event.hpp"
#include "plait/coroutines/race.hpp"
#include "plait/http/errors.hpp"
#include "plait/http/refusal.hpp"
#include "plait/http/streamed.hpp"

namespace plait::http {

// What is wrong with the header of a request that could be parsed; nothing: it is in order.
std::optional<response> complaint_about(const request_parser& parser);
// The answer to one that could not.
response complaint_about(const request_parser& parser, std::size_t max_header_bytes,
                         std::uint64_t max_body_bytes);
// What a handler's exception leads to.
response answer_to(const std::exception_ptr& error, std::string_view method,
                   std::string_view target);

template <class Stream>
class conversation final : private body_writer {
 public:
  using phase = live_connection::phase;
  conversation(server_context& server, live_connection& self, Stream& stream,
               const net::endpoint& peer)
      : server_(server), self_(self), stream_(stream), peer_(peer) {}

  // Until one side closes.
  task<> run();
  // To a request that did not arrive in time; the flow has been stopped, so nothing is waited for.
  void say_too_late();

 private:
  static constexpr bool is_tls = !std::is_same_v<Stream, net::tcp_stream>;
  enum class arrival { request, end, refused };
  enum class next { stays, closes, lingers };

  // A request body for the handler; it may outlive the request, and then gives nothing.
  struct handed_body final : request_body {
    explicit handed_body(conversation& t) : talk(&t) {}
    task<std::string> read_some() override {
      if (talk == nullptr) throw connection_lost("the request has been answered already");
      return talk->read_body();
    }
    conversation* talk;
  };
  // What lives as long as one request.
  struct exchange {
    std::optional<request_parser> parser;
    std::shared_ptr<handed_body> body;
    std::string method, target;
    std::string collected;  // of a body that is streamed
    response answer;
    int version = 11;
    time_point began{};
    std::uint64_t max_body = 0;
    bool continued = false, unread = false, lost = false;
    persistence kept = persistence::close;
    ~exchange() {
      if (body != nullptr) body->talk = nullptr;
    }
  };

  task<arrival> receive(request& asked);
  arrival take_head(request& asked);
  task<> say_continue();
  task<std::string> read_body();
  task<next> answer(request asked);
  bool begin_send();
  task<> send_all(std::string_view bytes);
  task<next> stream_body();
  task<> produce(std::exception_ptr& error, bool& done);
  task<> watch_client();
  task<> write(std::string_view piece) override;
  task<> linger();
  void refuse(response with) {
    now_->answer = std::move(with);
    ++server_.statistics.refused;
  }
  void done(int status_code);

  server_context& server_;
  live_connection& self_;
  Stream& stream_;
  const net::endpoint& peer_;
  std::string pending_;  // bytes that have come, and are of nobody yet
  exchange* now_ = nullptr;
  std::string head_;  // of the answer whose body is streamed, until it goes with the first piece
  framing framing_ = framing::length;
  std::uint64_t sent_ = 0, left_ = 0;
};

// --- receiving ---

template <class Stream>
typename conversation<Stream>::arrival conversation<Stream>::take_head(request& asked) {
  exchange& now = *now_;
  request_parser& parser = *now.parser;
  now.version = parser.version();
  now.began = server_.connections->loop().now();
  now.max_body = server_.options.max_body_bytes;
  if (auto wrong = complaint_about(parser)) {
    refuse(std::move(*wrong));
    return arrival::refused;
  }
  if (parser.is_done()) return arrival::request;
  route_options wishes;
  if (server_.wishes) wishes = server_.wishes(asked);
  if (wishes.max_body_bytes) now.max_body = *wishes.max_body_bytes;
  const auto length = parser.content_length();
  if (length && *length > now.max_body) {
    refuse(refusal(413, "The body may have " + std::to_string(now.max_body) + " bytes at most.")
               .answer());
    return arrival::refused;
  }
  parser.body_limit(now.max_body);
  parser.eager(true);
  if (wishes.body == body_mode::streamed) {
    now.body = std::make_shared<handed_body>(*this);
    now.unread = true;
    parser.body_into(now.collected);
    asked.body = now.body;
    return arrival::request;
  }
  return arrival::end;  // not yet
}

template <class Stream>
task<> conversation<Stream>::say_continue() {
  if (now_->continued || !now_->parser->has_expect()) co_return;
  now_->continued = true;
  co_await send_all("HTTP/1.1 100 Continue\r\n\r\n");
}

// `pending_` holds what came before it was asked for, then what came after it.
template <class Stream>
task<typename conversation<Stream>::arrival> conversation<Stream>::receive(request& asked) {
  request_parser& parser = *now_->parser;
  bool fresh = !pending_.empty(), has_head = false;
  for (;;) {
    if (fresh) {
      feed(parser, pending_, {});
      fresh = false;
    } else {
      co_await stream_.readable();
      const auto got = stream_.try_read(receive_buffer());
      if (!got) continue;
      if (*got == 0) co_return arrival::end;
      feed(parser, pending_, std::string_view(receive_buffer().data(), *got));
    }
    if (parser.failure() == parse_failure::none && !has_head && parser.is_header_done()) {
      has_head = true;
      const arrival known = take_head(asked);
      if (known != arrival::end) co_return known;
      fresh = !pending_.empty();
      if (!fresh) co_await say_continue();
    }
    if (parser.failure() == parse_failure::none && parser.is_done()) co_return arrival::request;
    // A header is limited by the parser; here: trailers and extensions of chunks.
    const bool flood = has_head && !fresh && pending_.size() > server_.options.max_header_bytes;
    if (parser.failure() != parse_failure::none || flood) {
      refuse(flood ? refusal(431).answer()
                   : complaint_about(parser, server_.options.max_header_bytes,
                                     has_head ? now_->max_body : server_.options.max_body_bytes));
      co_return arrival::refused;
    }
    if (self_.now_in() == phase::waiting)
      self_.enter(phase::receiving, server_.options.read_timeout);
  }
}

// For the handler: on its flow.
template <class Stream>
task<std::string> conversation<Stream>::read_body() {
  exchange& now = *now_;
  request_parser& parser = *now.parser;
  bool fresh = !pending_.empty();
  if (!fresh) co_await say_continue();
  for (;;) {
    if (!now.collected.empty()) co_return std::exchange(now.collected, {});
    if (parser.failure() == parse_failure::body_too_large)
      throw refusal(413, "The body may have " + std::to_string(now.max_body) + " bytes at most.");
    if (parser.failure() != parse_failure::none || pending_.size() > (std::size_t{1} << 20))
      throw refusal(400, "The body of this request is malformed.");
    if (parser.is_done()) {
      now.unread = false;
      co_return std::string();
    }
    if (std::exchange(fresh, false)) {
      feed(parser, pending_, {});
      continue;
    }
    self_.enter(phase::receiving, server_.options.read_timeout);
    co_await stream_.readable();
    const auto got = stream_.try_read(receive_buffer());
    if (!got) continue;
    self_.enter(phase::answering, duration::max());
    if (*got == 0) {
      now.lost = true;
      throw connection_lost("the client left before the body of its request was complete");
    }
    feed(parser, pending_, std::string_view(receive_buffer().data(), *got));
  }
}

// --- sending ---

template <class Stream>
task<> conversation<Stream>::send_all(std::string_view bytes) {
  for (;;) {
    const std::size_t taken = stream_.try_write(bytes);
    sent_ += taken;
    bytes.remove_prefix(taken);
    if (bytes.empty() && !is_tls) co_return;
    self_.enter(phase::sending, server_.options.write_timeout);
    co_await stream_.writable();
    if (bytes.empty()) co_return;
  }
}

// A whole answer in one system call, if the kernel takes it all; else what it left is in head_.
template <class Stream>
bool conversation<Stream>::begin_send() {
  thread_local std::string text;
  text.clear();
  append_response(text, now_->answer, now_->method, now_->kept);
  const std::size_t taken = stream_.try_write(text);
  sent_ += taken;
  if (taken < text.size()) head_ = text.substr(taken);
  constexpr std::size_t worth_keeping = 256 * 1024;
  if (text.capacity() > worth_keeping) text = std::string();
  return head_.empty() && !is_tls;
}

// A producer's piece.
template <class Stream>
task<> conversation<Stream>::write(std::string_view piece) {
  constexpr std::size_t worth_copying = 16 * 1024;
  if (piece.empty()) co_return;
  if (framing_ == framing::length) {
    if (piece.size() > left_) throw protocol_error("a body wrote more than its size()");
    left_ -= piece.size();
  }
  std::string text = std::exchange(head_, {});
  if (framing_ == framing::chunked) {
    char digits[16];
    text.append(digits, std::to_chars(digits, digits + sizeof digits, piece.size(), 16).ptr);
    text.append("\r\n");
  }
  const bool copied = piece.size() <= worth_copying;
  if (copied) {
    text.append(piece);
    if (framing_ == framing::chunked) text.append("\r\n");
  }
  if (!text.empty()) co_await send_all(text);
  if (!copied) {
    co_await send_all(piece);
    if (framing_ == framing::chunked) co_await send_all("\r\n");
  }
  self_.enter(phase::answering, duration::max());
}

// Ends when the client has left. What it sends meanwhile is kept for the next request.
template <class Stream>
task<> conversation<Stream>::watch_client() {
  constexpr std::size_t most = 64 * 1024;
  try {
    while (pending_.size() < most) {
      co_await stream_.readable();
      const auto got = stream_.try_read(receive_buffer());
      if (got == std::size_t{0}) co_return;
      if (got) pending_.append(receive_buffer().data(), *got);
    }
  } catch (const net::error&) {
    co_return;
  }
  event never;
  co_await never.wait();
}

template <class Stream>
task<> conversation<Stream>::produce(std::exception_ptr& error, bool& done) {
  std::exception_ptr thrown;
  try {
    if (framing_ != framing::length) co_await send_all(std::exchange(head_, {}));
    co_await now_->answer.body->write_to(*this);
    if (framing_ == framing::length && left_ != 0)
      throw protocol_error("a body wrote less than its size()");
    if (framing_ == framing::chunked) head_ += "0\r\n\r\n";
    if (!head_.empty()) co_await send_all(std::exchange(head_, {}));
    done = true;
  } catch (...) {
    thrown = std::current_exception();
  }
  error = std::move(thrown);
}

template <class Stream>
task<typename conversation<Stream>::next> conversation<Stream>::stream_body() {
  exchange& now = *now_;
  const auto size = now.answer.body->size();
  framing_ = framing_of(now.answer, size, now.version);
  if (framing_ == framing::to_end) now.kept = persistence::close;
  head_.clear();
  append_header(head_, now.answer, framing_, size.value_or(0), now.kept);
  left_ = size.value_or(0);
  if (now.method == "HEAD" || framing_ == framing::none) {
    co_await send_all(std::exchange(head_, {}));
    co_return now.kept == persistence::close ? next::closes : next::stays;
  }
  bool complete = false;
  std::exception_ptr error;
  if (now.unread) {  // the producer may still read it, and then hears of the end itself
    co_await produce(error, complete);
  } else {
    auto producing = produce(error, complete);
    auto watching = watch_client();
    co_await race(std::move(producing), std::move(watching));
  }
  if (complete) co_return now.kept == persistence::close ? next::closes : next::stays;
  if (self_.flow().stopping() && error != nullptr) std::rethrow_exception(error);
  // Half an answer must not look like a whole one.
  if constexpr (!is_tls) stream_.reset();
  if (error != nullptr && !now.lost) {
    try {
      std::rethrow_exception(error);
    } catch (const cancelled_error&) {  // since the client left
    } catch (const net::connection_closed&) {
    } catch (...) {
      plait::detail::report_unhandled(std::move(error),
                                      "the body of " + now.method + " " + now.target);
    }
  }
  co_return next::closes;
}

// Lets the client read a refusal before the connection is gone: closing with bytes unread would
// reset it, and the refusal with it (RFC 9112, 9.6).
template <class Stream>
task<> conversation<Stream>::linger() {
  constexpr duration longest = std::chrono::seconds(2);
  constexpr std::size_t most = std::size_t{16} << 20;
  co_await stream_.shutdown_write();
  self_.enter(phase::sending, longest);
  for (std::size_t discarded = 0; discarded < most;) {
    co_await stream_.readable();
    const auto got = stream_.try_read(receive_buffer());
    if (got == std::size_t{0}) co_return;
    discarded += got.value_or(0);
  }
}

// --- a request after the other ---

template <class Stream>
void conversation<Stream>::done(int status_code) {
  ++server_.statistics.requests;
  server_.statistics.bytes_sent += sent_;
  if (server_.options.on_answered)
    server_.options.on_answered({.peer = peer_,
                                 .method = now_->method,
                                 .target = now_->target,
                                 .status_code = status_code,
                                 .bytes_sent = sent_,
                                 .elapsed = server_.connections->loop().now() - now_->began});
}

template <class Stream>
task<typename conversation<Stream>::next> conversation<Stream>::answer(request asked) {
  exchange& now = *now_;
  std::exception_ptr error;
  try {
    now.answer = co_await server_.handler(std::move(asked));
  } catch (...) {
    error = std::current_exception();
  }
  if (error != nullptr) {
    if (self_.flow().stopping()) std::rethrow_exception(error);
    if (now.lost) co_return next::closes;
    now.answer = answer_to(error, now.method, now.target);
  }
  if (self_.should_end() || now.unread) now.kept = persistence::close;
  next then = now.kept == persistence::close ? next::closes : next::stays;
  if (now.answer.body != nullptr) {
    then = co_await stream_body();
  } else if (!begin_send()) {
    co_await send_all(std::exchange(head_, {}));
  }
  if (now.unread && then == next::closes && stream_.is_open()) then = next::lingers;
  co_return then;
}

template <class Stream>
task<> conversation<Stream>::run() {
  const message_limits limits{server_.options.max_header_bytes, UINT64_MAX};
  const std::size_t most = server_.options.max_requests_per_connection;
  constexpr int fair_share = 64;  // pipelined requests that are answered before others have a turn
  for (std::size_t turn = 1;; ++turn) {
    self_.enter(phase::waiting, server_.options.idle_timeout);
    request asked;
    exchange now;
    now_ = &now;
    sent_ = 0;
    now.parser.emplace(asked, limits);
    now.parser->eager(false);
    const auto arrived = co_await receive(asked);
    if (arrived == arrival::end) co_return;
    self_.enter(phase::answering, duration::max());
    next then = next::lingers;
    now.method = asked.method;
    now.target = asked.target;
    if (arrived == arrival::refused) {
      if (!begin_send()) co_await send_all(std::exchange(head_, {}));
    } else {
      if (now.parser->keep_alive() && (most == 0 || turn < most))
        now.kept = persistence::keep_alive;
      if (!now.unread) now.parser.reset();
      asked.peer = peer_;
      then = co_await answer(std::move(asked));
    }
    done(now.answer.status_code);
    if (then == next::lingers) {
      co_await linger();
      co_return;
    }
    if (then == next::closes) {
      if constexpr (is_tls) {
        if (stream_.is_open()) co_await stream_.shutdown_write();
      }
      co_return;
    }
    if (turn % fair_share == 0 && !pending_.empty()) co_await sleep(duration::zero());
  }
}

template <class Stream>
void conversation<Stream>::say_too_late() {
  exchange now;
  now_ = &now;
  refuse(refusal(408, "The request took too long to arrive.").answer());
  sent_ = 0;
  begin_send();
  done(now.answer.status_code);
}

}  // namespace plait::http

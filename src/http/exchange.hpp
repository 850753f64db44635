// src/http/exchange.hpp: one request on one connection, and the response to it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "http/content_coding.hpp"
#include "http/message_parser.hpp"
#include "plait/http/client_options.hpp"
#include "plait/http/request_options.hpp"
#include "plait/http/transport.hpp"

namespace plait::http {

// Whose credentials and cookies may travel: those of the session and request, or none, because a
// redirect has led to another server.
enum class credentials { ours, withheld };

// A request's first line and header, and its content if it is at hand. `length` is that of a body_source,
// `chunked` that it has none.
struct body_framing {
  std::optional<std::uint64_t> length = {};
  bool chunked = false;
};
std::string request_text(const std::string& method, const url& to, const client_options& session,
                         const request_options& given, body_framing framing,
                         std::string_view cookies, credentials whose);

// The conversation on a connection from a request to the last byte of its response. Stays where it is.
class exchange {
 public:
  // `to` is for messages. Both references must stay. A body above `most_body` bytes is a protocol_error.
  exchange(const client_options& options, const url& to, std::uint64_t most_body) noexcept
      : options_(options), to_(to), most_body_(most_body) {}
  exchange(const exchange&) = delete;

  // Sends `text`, and then what `body` gives. A server that ends the connection meanwhile may have
  // answered early, for example 413 to a large body: that is not an error yet.
  task<> send(byte_stream& stream, std::string text, body_source* body, body_framing framing);
  // Reads up to the end of the final response's header into `into`, which must stay until the end. What
  // came of its body then lies in into.content. False: the connection had ended before the first byte.
  task<bool> read_head(response& into, bool has_no_body);
  // True when the whole body has been read.
  bool complete() const noexcept { return complete_; }
  // Appends some of the body to `to`, about `wanted` bytes; at its end, nothing.
  task<> read_body(std::string& to, std::size_t wanted);
  // Whether the next request may use the connection.
  bool reusable() const noexcept {
    return complete_ && fully_sent_ && !ended_ && pending_.empty() && parser_->keep_alive();
  }
  // Whether a byte of a response has come.
  bool heard() const noexcept { return heard_; }

 private:
  task<> send_all(std::string_view bytes);
  task<> wait_readable();
  message_limits limits() const noexcept;
  task<bool> receive();  // false at the end of the connection
  void deliver(std::string& to, std::size_t wanted);
  [[noreturn]] void throw_malformed() const;

  byte_stream* stream_ = nullptr;
  const client_options& options_;
  const url& to_;
  const std::uint64_t most_body_;
  std::optional<response_parser> parser_;
  std::unique_ptr<content_decoder> decoder_;
  std::string pending_;          // received, and not parsed yet
  std::string coded_;            // parsed, and its coding not undone yet
  std::uint64_t body_size_ = 0;  // undone
  bool decoder_has_more_ = false;
  bool fully_sent_ = true;
  bool ended_ = false;  // the server has closed the connection
  bool heard_ = false;
  bool complete_ = false;
};

}  // namespace plait::http

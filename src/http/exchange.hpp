// src/http/exchange.hpp: one request on one connection, and the response to it.
//
// Little here waits, so that a request that waits for its answer needs no frames for that: whoever
// carries it out calls begin(), and then, as long as read_head() or read_body() wants more, awaits
// the connection and calls receive(). What an answer needs is made when its first byte has come.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "http/content_coding.hpp"
#include "http/message_parser.hpp"
#include "http/request_text.hpp"
#include "plait/http/client_options.hpp"
#include "plait/http/transport.hpp"

namespace plait::http {

class exchange {
 public:
  // The options must stay. A body above `most_body` bytes is a protocol_error.
  exchange(const client_options& options, std::uint64_t most_body) noexcept
      : options_(options), most_body_(most_body) {}
  exchange(const exchange&) = delete;

  enum class answer_to { head, others };  // whether the method is HEAD: then no body comes
  // Begins anew: sends `text` on a connection. `to` is for messages; both must stay. A server that ends
  // the connection meanwhile may have answered early, for example 413 to a large body: that is not an
  // error yet.
  void begin(byte_stream& stream, const url& to, std::string_view text, answer_to method);
  // What the connection did not take at once, and then what `body`, if there is one, gives.
  bool has_unsent() const noexcept { return !unsent_.empty(); }
  task<> send_rest(body_source* body, body_framing framing);

  // The connection, if to await readable() on it is all there is to waiting; else null, and readable()
  // is to be awaited instead.
  net::tcp_stream* plain() const noexcept {
    return options_.timeouts.read == duration::max() ? stream_->tcp() : nullptr;
  }
  task<> readable();
  // Takes what has come.
  void receive();

  // The end of the connection came before any byte.
  bool lost() const noexcept { return ended_ && !heard_; }
  // True when the header of the final response is there; then seen() has it.
  bool read_head();
  // Appends what has come of the body to `to`. True when that has `size` bytes, or the body has ended. What comes
  // until the next call may go to `to` as well.
  bool read_body(std::string& to, std::uint64_t size);
  // True when the whole body has been read.
  bool complete() const noexcept { return complete_; }
  response& seen() noexcept { return answer_->seen; }
  bool sets_cookies() const noexcept { return answer_->parser->sets_cookies(); }
  // Whether the next request may use the connection.
  bool reusable() const noexcept {
    return complete_ && fully_sent_ && !ended_ && answer_->pending.empty() &&
           answer_->parser->keep_alive();
  }

 private:
  // From the first byte of a response on.
  struct answer {
    static void* operator new(std::size_t bytes) {
      return plait::detail::block_cache::allocate(bytes);
    }
    static void operator delete(void* block, std::size_t bytes) noexcept {
      plait::detail::block_cache::free(block, bytes);
    }
    response seen;
    std::optional<response_parser> parser;
    std::unique_ptr<content_decoder> decoder;
    std::string pending;           // received, and not parsed yet
    std::string coded;             // parsed, and its coding not undone yet
    std::uint64_t body_bytes = 0;  // undone
    bool decoder_has_more = false;
  };

  task<> send_all(std::string_view bytes);
  task<> send_body(body_source& body, body_framing framing);
  task<> readable_in_time();
  void expect_response();
  void decode_some(std::string& to);
  [[noreturn]] void throw_malformed() const;

  byte_stream* stream_ = nullptr;
  const url* to_ = nullptr;
  const client_options& options_;
  const std::uint64_t most_body_;
  std::unique_ptr<answer> answer_;
  std::string unsent_;
  bool bodiless_ = false;
  bool fully_sent_ = true;
  bool ended_ = false;  // the server has closed the connection
  bool heard_ = false;
  bool complete_ = false;
};

}  // namespace plait::http

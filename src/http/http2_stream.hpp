// src/http/http2_stream.hpp: one request on an HTTP/2 connection, as a byte_stream that speaks HTTP/1.1.
#pragma once

#include <optional>

#include "http/http2_connection.hpp"
#include "http/message_parser.hpp"

namespace plait::http {

class http2_stream final : public byte_stream {
 public:
  http2_stream(std::shared_ptr<http2_connection> on, std::string scheme);
  ~http2_stream() override;

  std::optional<std::size_t> try_read(std::span<char> into) override;
  std::size_t try_write(std::string_view bytes) override;
  task<> readable() override;
  task<> writable() override;
  bool reusable() const noexcept override { return false; }  // the connection is, the stream is not
  std::string_view protocol() const noexcept override { return "h2"; }

  // ---- for the connection ----------------------------------------------------------------------
  // A field of a header that arrives; false: that is more than the limit.
  bool field(std::string_view name, std::string_view value);
  void header_complete();
  void data(std::string_view bytes);
  // As nghttp2_data_source_read_callback's: how many bytes; nothing if there are none yet.
  std::optional<std::size_t> send_some(std::span<char> into, bool& last);
  void response_complete() noexcept;
  void reset_by_server() noexcept { reset_by_server_ = true; }
  // No more frames of it come or go; the code is a RST_STREAM's.
  void closed(std::uint32_t code, const char* in_words);
  // The connection has ended; null: by a plain end.
  void lost(const std::exception_ptr& why);
  void fail(std::exception_ptr why) noexcept;

  http2_stream *previous = nullptr, *next = nullptr;  // the connection's
  std::int32_t id = 0;                                // 0: not begun

 private:
  // How much of received_ may be taken: not the last byte of a response whose end is still to come.
  std::size_t takeable() const noexcept;
  bool all_sent() const noexcept { return sent_ == outgoing_.size(); }
  bool wants_no_more() const noexcept { return complete_ || !linked_; }

  const std::shared_ptr<http2_connection> connection_;
  const std::string scheme_;
  struct upload {
    request asked;
    std::optional<request_parser> parser;
    std::string pending;
  };
  std::unique_ptr<upload> upload_;  // until the request is complete
  std::string outgoing_;            // of its body
  std::size_t sent_ = 0;
  std::string header_;    // that arrives
  std::string received_;  // the response, as HTTP/1.1 writes it
  std::size_t taken_ = 0;
  std::size_t untaken_header_ = 0;  // how much of it is no DATA
  std::size_t header_bytes_ = 0;    // in all, interim ones and trailers included
  int status_ = 0;
  event changed_;
  std::exception_ptr failure_;
  std::optional<std::uint64_t> announced_;  // by Content-Length, or none at all
  std::uint64_t body_bytes_ = 0;            // that have come
  bool linked_ = true;                      // to the connection
  bool has_no_body_ = false;                // it answers HEAD
  bool all_given_ = false;                  // the request is complete
  bool heard_ = false;                      // the final header
  bool complete_ = false;                   // the whole response has come
  bool reset_by_server_ = false;            // it wants no more of the request
};

}  // namespace plait::http

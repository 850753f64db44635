#include "plait/http/response_stream.hpp"

#include <charconv>

#include "http/open_exchange.hpp"
#include "http/translated.hpp"
#include "plait/http/errors.hpp"
#include "plait/net/errors.hpp"
#include "plait/net/tcp_stream.hpp"

namespace plait::http {

response_stream::response_stream(std::unique_ptr<open_exchange> exchange) noexcept
    : exchange_(std::move(exchange)) {}
response_stream::response_stream(response_stream&&) noexcept = default;
response_stream& response_stream::operator=(response_stream&&) noexcept = default;
response_stream::~response_stream() = default;
const response& response_stream::head() const noexcept { return exchange_->seen(); }

std::optional<std::uint64_t> response_stream::content_length() const noexcept {
  const auto field = head().headers.get("Content-Length");
  std::uint64_t length = 0;
  const auto read = std::from_chars(field.data(), field.data() + field.size(), length);
  if (field.empty() || read.ec != std::errc()) return std::nullopt;
  return length;
}

task<> response_stream::read_into(std::string& piece) {
  auto& talk = exchange_->talk();
  if (talk.complete()) co_return;
  const std::size_t wanted = piece.size() + 1;
  try {
    while (!talk.read_body(piece, wanted)) {
      if (net::tcp_stream* connection = talk.plain()) {
        co_await connection->readable();
      } else {
        co_await talk.readable();
      }
      talk.receive();
    }
  } catch (const net::error&) {
    translate_network_error(exchange_->to());
  }
  if (talk.complete()) exchange_->release();
}

task<std::string> response_stream::read_some() {
  std::string piece = std::exchange(exchange_->seen().content, {});
  if (piece.empty()) co_await read_into(piece);
  co_return piece;
}

task<std::string> response_stream::read_all(std::uint64_t most) {
  std::string all = std::exchange(exchange_->seen().content, {});
  while (!exchange_->talk().complete()) {
    co_await read_into(all);
    if (all.size() > most)
      throw protocol_error("the body of " + url() + " is larger than " + std::to_string(most) +
                           " bytes, which is what read_all() was asked for");
  }
  co_return all;
}

}  // namespace plait::http

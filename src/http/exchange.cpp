#include "http/exchange.hpp"

#include <charconv>

#include "http/receive_buffer.hpp"
#include "plait/coroutines/move_on.hpp"
#include "plait/http/errors.hpp"
#include "plait/net/errors.hpp"

namespace plait::http {
namespace {

constexpr std::size_t one_piece = 64 * 1024;

}  // namespace

void exchange::throw_malformed() const {
  const auto& parser = *answer_->parser;
  switch (parser.failure()) {
    case parse_failure::header_too_large:
      throw protocol_error(to_->authority() + " sent more than " +
                           std::to_string(options_.max_header_bytes) +
                           " bytes of header: client_options::max_header_bytes is the limit");
    case parse_failure::body_too_large:
      throw protocol_error("the body of " + to_->to_string() + " is larger than " +
                           std::to_string(most_body_) +
                           " bytes: client_options::max_body_bytes is the limit");
    case parse_failure::none:  // it ended behind an interim response
    case parse_failure::cut_short:
      throw connection_lost(to_->authority() + " closed the connection in the middle of " +
                            to_->to_string());
    default:
      throw protocol_error(to_->authority() + " did not answer in HTTP/1.1 (" + parser.complaint() +
                           "): is it a web server?");
  }
}

void exchange::begin(byte_stream& stream, const url& to, std::string_view text, answer_to method) {
  stream_ = &stream;
  to_ = &to;
  answer_.reset();
  bodiless_ = method == answer_to::head;
  fully_sent_ = true;
  ended_ = heard_ = complete_ = false;
  unsent_.clear();
  try {
    text.remove_prefix(stream.try_write(text));
    if (!text.empty()) unsent_ = text;
  } catch (const net::connection_closed&) {
    fully_sent_ = false;
  }
}

task<> exchange::send_all(std::string_view bytes) {
  bytes.remove_prefix(stream_->try_write(bytes));
  while (!bytes.empty()) {
    co_await stream_->writable();
    bytes.remove_prefix(stream_->try_write(bytes));
  }
}

task<> exchange::send_rest(body_source* body, body_framing framing) {
  if (!fully_sent_) co_return;
  try {
    const std::string head = std::exchange(unsent_, {});
    if (!head.empty()) co_await send_all(head);
    if (body != nullptr) co_await send_body(*body, framing);
  } catch (const net::connection_closed&) {
    fully_sent_ = false;
  }
}

task<> exchange::send_body(body_source& body, body_framing framing) {
  std::uint64_t left = framing.length.value_or(0);
  for (;;) {
    const std::string_view piece = co_await body.next();
    if (!framing.chunked) {
      if (piece.size() > left || (piece.empty() && left != 0))
        throw error("the body of a request to " + to_->to_string() + " has " +
                    (piece.empty() ? "fewer" : "more") + " bytes than its size() said");
      if (piece.empty()) co_return;
      left -= piece.size();
      co_await send_all(piece);
      continue;
    }
    char line[20];  // a chunk: its size in hex, its bytes, and a line's end
    const auto end = std::to_chars(line, line + 16, piece.size(), 16).ptr;
    std::string_view start(line, static_cast<std::size_t>(end - line));
    std::string chunk;
    chunk.reserve(start.size() + piece.size() + 6);
    chunk.append(start).append("\r\n").append(piece).append("\r\n");
    co_await send_all(chunk);
    if (piece.empty()) co_return;
  }
}

task<> exchange::readable() {
  return options_.timeouts.read == duration::max() ? stream_->readable() : readable_in_time();
}

task<> exchange::readable_in_time() {
  const duration limit = options_.timeouts.read;
  const bool heard = co_await move_on_after(limit, stream_->readable());
  if (!heard)
    throw timeout_error(to_->authority() + " was silent for " + plait::detail::to_text(limit) +
                        " while " + to_->to_string() + " was read");
}

void exchange::receive() {
  std::optional<std::size_t> got;
  try {
    got = stream_->try_read(receive_buffer());
  } catch (const net::connection_closed&) {
    if (answer_ != nullptr && answer_->parser->got_some()) throw;
    got = 0;
  }
  if (!got) return;
  if (*got == 0) {
    ended_ = true;
    if (answer_ != nullptr && answer_->parser->got_some()) answer_->parser->put_end();
    return;
  }
  if (!heard_) {
    heard_ = true;
    answer_ = std::make_unique<answer>();
    expect_response();
  }
  feed(*answer_->parser, answer_->pending, std::string_view(receive_buffer().data(), *got));
}

void exchange::expect_response() {
  auto& parser =
      answer_->parser.emplace(answer_->seen, message_limits{options_.max_header_bytes, most_body_});
  if (options_.compression == compression::accept) parser.coded_bodies_into(answer_->coded);
  if (bodiless_) parser.skip(true);
}

bool exchange::read_head() {
  if (answer_ == nullptr) return false;
  auto& [seen, parser, decoder, pending, coded, body_bytes, decoder_has_more] = *answer_;
  for (;;) {  // once for each interim response, 100 to 199, and for the final one
    if (!parser->is_header_done()) {
      if (parser->failure() != parse_failure::none || ended_) throw_malformed();
      return false;
    }
    if (seen.status_code >= 200 || seen.status_code == 101) break;
    seen.headers.clear();
    seen.content.clear();
    expect_response();
    if (!pending.empty()) feed(*parser, pending, {});
  }
  if (parser->has_coded_body()) {
    decoder = decoder_for(seen.headers.get("Content-Encoding"));
    if (decoder == nullptr) {  // one that nobody asked for: the body stays as it is
      seen.content = std::move(coded);
      parser->body_into(seen.content);
    }
  }
  return true;
}

// Undoes the coding of some of what has been parsed.
void exchange::decode_some(std::string& to) {
  auto& a = *answer_;
  const std::size_t before = to.size();
  std::string_view rest = a.coded;
  a.decoder_has_more = a.decoder->decode(rest, to, one_piece);
  a.coded.erase(0, a.coded.size() - rest.size());
  a.body_bytes += to.size() - before;
  if (a.body_bytes > most_body_)
    throw protocol_error("the body of " + to_->to_string() + " is larger than " +
                         std::to_string(most_body_) +
                         " bytes when its compression is undone: "
                         "client_options::max_body_bytes is the limit");
}

bool exchange::read_body(std::string& to, std::uint64_t size) {
  if (complete_) return true;
  auto& a = *answer_;
  auto& parser = *a.parser;
  if (a.decoder == nullptr) {
    parser.body_into(to);
  } else {
    do {
      if (a.decoder_has_more || !a.coded.empty()) decode_some(to);
    } while (a.decoder_has_more && to.size() < size);
  }
  if (parser.is_done() && !a.decoder_has_more) {
    if (a.decoder != nullptr) a.decoder->finish();
    complete_ = true;
  }
  if (complete_ || to.size() >= size) return true;
  if (parser.failure() != parse_failure::none || (ended_ && !parser.is_done())) throw_malformed();
  return false;
}

}  // namespace plait::http

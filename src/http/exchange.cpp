#include "http/exchange.hpp"

#include <charconv>

#include "http/receive_buffer.hpp"
#include "plait/coroutines/move_on.hpp"
#include "plait/http/errors.hpp"
#include "plait/net/errors.hpp"

namespace plait::http {
namespace {

constexpr std::size_t one_piece = 64 * 1024;

bool is_credential(std::string_view name) noexcept {
  return same_token(name, "Authorization") || same_token(name, "Cookie");
}
// What we say ourselves.
bool is_framing(std::string_view name) noexcept {
  return same_token(name, "Content-Length") || same_token(name, "Transfer-Encoding");
}
void append_field(std::string& to, std::string_view name, std::string_view value) {
  to.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

std::string request_text(const std::string& method, const url& to, const client_options& session,
                         const request_options& given, body_framing framing,
                         std::string_view cookies, credentials whose) {
  std::string text;
  text.reserve(256 + given.headers().text().size() + session.headers.text().size() +
               given.content().size() + cookies.size());
  text.append(method).append(" ").append(to.target()).append(" HTTP/1.1\r\n");
  const auto& fields = given.headers();
  const auto said = [&](std::string_view name) {
    return fields.contains(name) || session.headers.contains(name);
  };
  if (!said("Host")) append_field(text, "Host", to.authority());
  if (!said("User-Agent") && !session.user_agent.empty())
    append_field(text, "User-Agent", session.user_agent);
  if (!said("Accept")) text.append("Accept: */*\r\n");
  if (session.compression == compression::accept && !said("Accept-Encoding"))
    append_field(text, "Accept-Encoding", accepted_codings);
  const auto travels = [&](std::string_view name) {
    return !is_framing(name) && (whose == credentials::ours || !is_credential(name));
  };
  for (const auto field : session.headers)
    if (!fields.contains(field.name) && travels(field.name))
      append_field(text, field.name, field.value);
  for (const auto field : fields)
    if (travels(field.name) && !(same_token(field.name, "Cookie") && !cookies.empty()))
      append_field(text, field.name, field.value);
  if (!cookies.empty()) {
    text.append("Cookie: ").append(cookies);
    if (const auto own = fields.get("Cookie"); !own.empty() && whose == credentials::ours)
      text.append("; ").append(own);
    text.append("\r\n");
  }
  if (framing.chunked) {
    text.append("Transfer-Encoding: chunked\r\n");
  } else if (framing.length || !given.content().empty() || method == "POST" || method == "PUT" ||
             method == "PATCH") {
    append_field(text, "Content-Length",
                 std::to_string(framing.length.value_or(given.content().size())));
  }
  text.append("\r\n");
  if (!framing.length && !framing.chunked) text.append(given.content());
  return text;
}

void exchange::throw_malformed() const {
  switch (parser_->failure()) {
    case parse_failure::header_too_large:
      throw protocol_error(to_.authority() + " sent more than " +
                           std::to_string(options_.max_header_bytes) +
                           " bytes of header: client_options::max_header_bytes is the limit");
    case parse_failure::body_too_large:
      throw protocol_error("the body of " + to_.to_string() + " is larger than " +
                           std::to_string(most_body_) +
                           " bytes: client_options::max_body_bytes is the limit");
    case parse_failure::cut_short:
      throw connection_lost(to_.authority() + " closed the connection in the middle of " +
                            to_.to_string());
    default:
      throw protocol_error(to_.authority() + " did not answer in HTTP/1.1 (" +
                           parser_->complaint() + "): is it a web server?");
  }
}

task<> exchange::send_all(std::string_view bytes) {
  bytes.remove_prefix(stream_->try_write(bytes));
  while (!bytes.empty()) {
    co_await stream_->writable();
    bytes.remove_prefix(stream_->try_write(bytes));
  }
}

task<> exchange::send(byte_stream& stream, std::string text, body_source* body,
                      body_framing framing) {
  stream_ = &stream;
  try {
    std::string_view rest = text;
    rest.remove_prefix(stream_->try_write(rest));
    if (!rest.empty()) co_await send_all(rest);
    if (body == nullptr) co_return;
    std::uint64_t left = framing.length.value_or(0);
    for (;;) {
      const std::string_view piece = co_await body->next();
      if (!framing.chunked) {
        if (piece.size() > left || (piece.empty() && left != 0))
          throw error("the body of a request to " + to_.to_string() + " has " +
                      (piece.empty() ? "fewer" : "more") + " bytes than its size() said");
        if (piece.empty()) break;
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
      if (piece.empty()) break;
    }
  } catch (const net::connection_closed&) {
    ended_ = true;
    fully_sent_ = false;
  }
}

task<> exchange::wait_readable() {
  const duration limit = options_.timeouts.read;
  const bool heard = co_await move_on_after(limit, stream_->readable());
  if (!heard)
    throw timeout_error(to_.authority() + " was silent for " + plait::detail::to_text(limit) +
                        " while " + to_.to_string() + " was read");
}

task<bool> exchange::receive() {
  for (;;) {
    if (options_.timeouts.read == duration::max()) {
      co_await stream_->readable();
    } else {
      co_await wait_readable();
    }
    std::optional<std::size_t> got;
    try {
      got = stream_->try_read(receive_buffer());
    } catch (const net::connection_closed&) {
      if (parser_->got_some()) throw;
      got = 0;
    }
    if (!got) continue;
    if (*got == 0) {
      ended_ = true;
      if (parser_->got_some()) parser_->put_end();
      co_return false;
    }
    heard_ = true;
    feed(*parser_, pending_, std::string_view(receive_buffer().data(), *got));
    co_return true;
  }
}

message_limits exchange::limits() const noexcept { return {options_.max_header_bytes, most_body_}; }

task<bool> exchange::read_head(response& into, bool has_no_body) {
  do {  // once for each interim response, 100 to 199, and for the final one
    into.headers.clear();
    into.content.clear();
    parser_.emplace(into, limits());
    if (options_.compression == compression::accept) parser_->coded_bodies_into(coded_);
    if (has_no_body) parser_->skip(true);
    if (!pending_.empty()) feed(*parser_, pending_, {});
    while (!parser_->is_header_done()) {
      if (parser_->failure() != parse_failure::none) throw_malformed();
      const bool more = co_await receive();
      if (more) continue;
      if (!heard_) co_return false;
      if (!parser_->is_header_done()) throw_malformed();
    }
  } while (into.status_code < 200 && into.status_code != 101);
  if (parser_->has_coded_body()) {
    decoder_ = decoder_for(into.headers.get("Content-Encoding"));
    if (decoder_ == nullptr) {  // one that nobody asked for: the body stays as it is
      into.content = std::move(coded_);
      parser_->body_into(into.content);
    }
  }
  if (decoder_ == nullptr) body_size_ = into.content.size();
  deliver(into.content, one_piece);
  if (parser_->failure() != parse_failure::none) throw_malformed();
  co_return true;
}

// Undoes the coding of what has been parsed, and sees whether that was all.
void exchange::deliver(std::string& to, std::size_t wanted) {
  if (decoder_ != nullptr && (decoder_has_more_ || !coded_.empty())) {
    const std::size_t before = to.size();
    std::string_view rest = coded_;
    decoder_has_more_ = decoder_->decode(rest, to, wanted);
    coded_.erase(0, coded_.size() - rest.size());
    body_size_ += to.size() - before;
    if (body_size_ > most_body_)
      throw protocol_error("the body of " + to_.to_string() + " is larger than " +
                           std::to_string(most_body_) +
                           " bytes when its compression is undone: "
                           "client_options::max_body_bytes is the limit");
  }
  if (complete_ || !parser_->is_done() || decoder_has_more_ || !coded_.empty()) return;
  if (decoder_ != nullptr) decoder_->finish();
  complete_ = true;
}

task<> exchange::read_body(std::string& to, std::size_t wanted) {
  const std::size_t before = to.size();
  if (decoder_ == nullptr) parser_->body_into(to);
  deliver(to, wanted);
  while (!complete_ && to.size() == before) {
    if (decoder_has_more_) {
      deliver(to, wanted);
      continue;
    }
    if (parser_->failure() != parse_failure::none) throw_malformed();
    const bool more = co_await receive();
    if (parser_->failure() != parse_failure::none || (!more && !parser_->is_done()))
      throw_malformed();
    deliver(to, wanted);
  }
}

}  // namespace plait::http

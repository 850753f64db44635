#include "http/exchange.hpp"

#include <optional>

#include "http/receive_buffer.hpp"
#include "plait/http/errors.hpp"
#include "plait/net/errors.hpp"

namespace plait::http {
namespace {

[[noreturn]] void throw_malformed(const response_parser& parser, const url& to,
                                  message_limits limits) {
  switch (parser.failure()) {
    case parse_failure::header_too_large:
      throw protocol_error(to.authority() + " sent more than " +
                           std::to_string(limits.header_bytes) +
                           " bytes of header: client_options::max_header_bytes is the limit");
    case parse_failure::body_too_large:
      throw protocol_error("the body of " + to.to_string() + " is larger than " +
                           std::to_string(limits.body_bytes) +
                           " bytes: client_options::max_body_bytes is the limit");
    case parse_failure::cut_short:
      throw connection_lost(to.authority() + " closed the connection in the middle of " +
                            to.to_string());
    default:
      throw protocol_error(to.authority() + " did not answer in HTTP/1.1 (" + parser.complaint() +
                           "): is it a web server?");
  }
}

// The rest of a request that the kernel did not take at once.
task<> write_rest(byte_stream& stream, std::string_view rest) {
  while (!rest.empty()) {
    co_await stream.writable();
    rest.remove_prefix(stream.try_write(rest));
  }
}

}  // namespace

std::string request_text(const std::string& method, const url& to, const client_options& session,
                         const request_options& given) {
  std::string text;
  text.reserve(256 + given.headers().text().size() + session.headers.text().size() +
               given.content().size());
  text.append(method).append(" ").append(to.target()).append(" HTTP/1.1\r\n");
  const auto said = [&](std::string_view name) {
    return given.headers().contains(name) || session.headers.contains(name);
  };
  if (!said("Host")) text.append("Host: ").append(to.authority()).append("\r\n");
  if (!said("User-Agent") && !session.user_agent.empty())
    text.append("User-Agent: ").append(session.user_agent).append("\r\n");
  if (!said("Accept")) text.append("Accept: */*\r\n");
  for (const auto field : session.headers)
    if (!given.headers().contains(field.name))
      text.append(field.name).append(": ").append(field.value).append("\r\n");
  for (const auto field : given.headers())
    if (!same_token(field.name, "Content-Length") && !same_token(field.name, "Transfer-Encoding"))
      text.append(field.name).append(": ").append(field.value).append("\r\n");
  const bool has_body = !given.content().empty() || method == "POST" || method == "PUT";
  if (has_body)
    text.append("Content-Length: ").append(std::to_string(given.content().size())).append("\r\n");
  text.append("\r\n").append(given.content());
  return text;
}

task<after_exchange> exchange(byte_stream& stream, std::string text, const std::string& method,
                              const url& to, message_limits limits, response& into) {
  bool ended = false;  // the server closed; a complete response may lie in front of that
  try {
    const std::size_t sent = stream.try_write(text);
    if (sent < text.size()) co_await write_rest(stream, std::string_view(text).substr(sent));
  } catch (const net::connection_closed&) {
    ended = true;  // it may have answered early, for example 413 to a large body
  }
  const bool fully_sent = !ended;
  text = std::string();  // nothing is kept while waiting

  std::optional<response_parser> parser;
  std::string pending;
  bool heard = false;
  do {  // once for each interim response, 100 to 199, and for the final one
    into = response();
    parser.emplace(into, limits);
    if (method == "HEAD") parser->skip(true);
    if (!pending.empty()) feed(*parser, pending, {});
    while (!parser->is_done()) {
      if (parser->failure() != parse_failure::none) throw_malformed(*parser, to, limits);
      co_await stream.readable();
      std::optional<std::size_t> got;
      try {
        got = stream.try_read(receive_buffer());
      } catch (const net::connection_closed&) {
        if (parser->got_some()) throw;
        got = 0;
      }
      if (!got) continue;
      if (*got == 0) {
        if (!heard) co_return after_exchange::was_closed;
        ended = true;
        if (parser->got_some()) parser->put_end();
        if (!parser->is_done()) throw_malformed(*parser, to, limits);
        break;
      }
      heard = true;
      feed(*parser, pending, std::string_view(receive_buffer().data(), *got));
    }
  } while (into.status_code < 200 && into.status_code != 101);
  const bool reusable = fully_sent && !ended && pending.empty() && parser->keep_alive();
  co_return reusable ? after_exchange::keep : after_exchange::close;
}

}  // namespace plait::http

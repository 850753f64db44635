#include "http/conversation.hpp"

namespace plait::http {

std::optional<response> complaint_about(const request_parser& parser) {
  const auto bad = [](const char* why) { return refusal(400, why).answer(); };
  // RFC 9112, 3.2: exactly one Host; 1.0 had none.
  if (parser.hosts() > 1 || (parser.hosts() == 0 && parser.version() >= 11))
    return bad("A request of HTTP/1.1 has one Host field.");
  if (parser.has_transfer_encoding()) {
    // RFC 9112, 6.1: what others take for another framing must not be guessed at.
    if (parser.version() < 11) return bad("HTTP/1.0 has no Transfer-Encoding.");
    if (!parser.chunked())
      return refusal(501, "The only Transfer-Encoding here is chunked.").answer();
  }
  return std::nullopt;
}

response complaint_about(const request_parser& parser, std::size_t max_header_bytes,
                         std::uint64_t max_body_bytes) {
  switch (parser.failure()) {
    case parse_failure::header_too_large:
      return refusal(431,
                     "The header may have " + std::to_string(max_header_bytes) + " bytes at most.")
          .answer();
    case parse_failure::body_too_large:
      return refusal(413, "The body may have " + std::to_string(max_body_bytes) + " bytes at most.")
          .answer();
    default:
      return refusal(400, "This is not an HTTP/1.1 request: " + parser.complaint() + ".").answer();
  }
}

response answer_to(const std::exception_ptr& error, std::string_view method,
                   std::string_view target) {
  try {
    std::rethrow_exception(error);
  } catch (const refusal& said) {
    return said.answer();
  } catch (...) {
  }
  plait::detail::report_unhandled(
      error, "the handler of " + std::string(method) + " " + std::string(target));
  return refusal(500, "The server failed to answer this request.").answer();
}

}  // namespace plait::http

#include "http/response_text.hpp"

#include <charconv>
#include <ctime>

namespace plait::http {
namespace {

// RFC 9110, 5.6.7; formatted once a second.
std::string_view date_now() {
  thread_local std::time_t formatted = 0;
  thread_local char text[32] = "";
  const std::time_t now = std::time(nullptr);
  if (now != formatted) {
    std::tm utc{};
    gmtime_r(&now, &utc);
    std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc);
    formatted = now;
  }
  return text;
}

bool is_framing(std::string_view name) noexcept {
  // By length first: of most fields no letter has to be looked at.
  if (name.size() != 14 && name.size() != 17 && name.size() != 10) return false;
  return same_token(name, "Content-Length") || same_token(name, "Transfer-Encoding") ||
         same_token(name, "Connection");
}

void append_number(std::string& text, std::uint64_t number) {
  char digits[20];
  text.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

}  // namespace

framing framing_of(const response& answer, std::optional<std::uint64_t> size,
                   int version) noexcept {
  const int code = answer.status_code;
  if (code < 200 || code == 204 || code == 304) return framing::none;
  if (size) return framing::length;
  return version < 11 ? framing::to_end : framing::chunked;
}

void append_header(std::string& text, const response& answer, framing how, std::uint64_t size,
                   persistence kept) {
  if (answer.status_code == 200 && answer.reason.empty()) {
    text.append("HTTP/1.1 200 OK");
  } else {
    const bool plain_reason = answer.reason.find_first_of("\r\n") == std::string::npos;
    text.append("HTTP/1.1 ");
    append_number(text,
                  static_cast<std::uint64_t>(answer.status_code < 0 ? 500 : answer.status_code));
    text.append(" ").append(answer.reason.empty() || !plain_reason
                                ? reason_of(answer.status_code)
                                : std::string_view(answer.reason));
  }
  text.append("\r\nDate: ").append(date_now()).append("\r\n");
  for (const auto field : answer.headers)
    if (!is_framing(field.name))
      text.append(field.name).append(": ").append(field.value).append("\r\n");
  if (how == framing::length) {
    text.append("Content-Length: ");
    append_number(text, size);
    text.append("\r\n");
  } else if (how == framing::chunked) {
    text.append("Transfer-Encoding: chunked\r\n");
  }
  text.append(kept == persistence::close ? "Connection: close\r\n\r\n"
                                         : "Connection: keep-alive\r\n\r\n");
}

void append_response(std::string& text, const response& answer, std::string_view method,
                     persistence kept) {
  const framing how = framing_of(answer, answer.content.size(), 11);
  append_header(text, answer, how, answer.content.size(), kept);
  if (how == framing::length && method != "HEAD") text.append(answer.content);
}

}  // namespace plait::http

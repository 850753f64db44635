#include "http/response_text.hpp"

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
  return same_token(name, "Content-Length") || same_token(name, "Transfer-Encoding") ||
         same_token(name, "Connection");
}

}  // namespace

void append_response(std::string& text, const response& answer, std::string_view method,
                     persistence kept) {
  const bool bodiless =
      answer.status_code < 200 || answer.status_code == 204 || answer.status_code == 304;
  const bool plain_reason = answer.reason.find_first_of("\r\n") == std::string::npos;
  text.append("HTTP/1.1 ").append(std::to_string(answer.status_code)).append(" ");
  text.append(answer.reason.empty() || !plain_reason ? reason_of(answer.status_code)
                                                     : std::string_view(answer.reason));
  text.append("\r\nDate: ").append(date_now()).append("\r\n");
  for (const auto field : answer.headers)
    if (!is_framing(field.name))
      text.append(field.name).append(": ").append(field.value).append("\r\n");
  if (!bodiless)
    text.append("Content-Length: ").append(std::to_string(answer.content.size())).append("\r\n");
  text.append(kept == persistence::close ? "Connection: close\r\n\r\n"
                                         : "Connection: keep-alive\r\n\r\n");
  if (!bodiless && method != "HEAD") text.append(answer.content);
}

}  // namespace plait::http

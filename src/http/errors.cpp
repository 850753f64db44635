#include "plait/http/errors.hpp"

#include "plait/http/refusal.hpp"

namespace plait::http {

status_error::status_error(int status_code, std::string reason, std::string url)
    : error(std::to_string(status_code) + (reason.empty() ? "" : " " + reason) +
            (status_code < 500 ? " (the request is at fault)" : " (the server is at fault)") +
            (url.empty() ? "" : " for " + url)),
      status_code_(status_code),
      url_(std::move(url)) {}

namespace {

response plain_answer(int status_code, const std::string& text) {
  response answer;
  answer.status_code = status_code;
  answer.headers.add("Content-Type", "text/plain; charset=utf-8");
  answer.content = text.empty() ? std::string(reason_of(status_code)) : text;
  answer.content += '\n';
  return answer;
}

}  // namespace

refusal::refusal(int status_code, const std::string& text)
    : error("refused with " + std::to_string(status_code) + (text.empty() ? "" : ": " + text)),
      answer_(plain_answer(status_code, text)) {}

refusal::refusal(response answer)
    : error("refused with " + std::to_string(answer.status_code)), answer_(std::move(answer)) {}

}  // namespace plait::http

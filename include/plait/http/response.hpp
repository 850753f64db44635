// plait/http/response.hpp: what a server answered; also what a handler of our own server returns.
//
// A plain value: copy it, move it, store it in a future. The body is complete when the response is.
#pragma once

#include <coroutine>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "plait/core/clock.hpp"
#include "plait/http/headers.hpp"

namespace plait::http {

namespace detail {
// text(): awaited, because a body may one day still be on its way.
template <class Text>
struct text_awaiter {
  Text&& text;
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  Text await_resume() const { return std::forward<Text>(text); }
};
}  // namespace detail

// As an option: what may be spoken. Of a response: what was spoken, http1 or http2.
enum class http_version : unsigned char { automatic, http1, http2 };

class response_body;  // streamed.hpp

struct response {
  int status_code = 200;
  http_version version = http_version::http1;
  std::string reason = {};  // empty in what a handler returns: the code's usual one
  http::headers headers = {};
  std::string content = {};
  std::string url = {};                // where it came from in the end, redirects followed
  std::vector<response> history = {};  // the redirects that led there, in order
  plait::duration elapsed = {};        // from the call to the last byte
  // Of a handler: sent piece by piece, instead of content (streamed.hpp).
  std::shared_ptr<response_body> body = {};

  // Below 400.
  bool ok() const noexcept { return status_code < 400; }
  // Throws status_error for 400 to 599.
  void raise_for_status() const;

  // co_await response.text(): the body. From an lvalue a reference to content, else the string.
  [[nodiscard]] auto text() const& noexcept {
    return detail::text_awaiter<const std::string&>{content};
  }
  [[nodiscard]] auto text() && noexcept {
    return detail::text_awaiter<std::string>{std::move(content)};
  }
};

// "Not Found" for 404; "" for a code without a registered name.
std::string_view reason_of(int status_code) noexcept;

}  // namespace plait::http

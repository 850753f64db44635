// plait/http/request_options.hpp: what one request says beside its method and URL.
//
//   session.post(url, request_options().with_param("page", "2").with_json(R"({"a":1})").with_timeout(5s))
//
// Not a plain struct with designated initialisers, as other options are: these stand in co_await
// expressions, where GCC 12 destroys the members of a temporary aggregate twice.
//
// Throws:   invalid_header for what would break the message apart.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "plait/core/clock.hpp"
#include "plait/http/body.hpp"
#include "plait/http/headers.hpp"
#include "plait/http/retry_policy.hpp"

namespace plait::http {

class request_options {
 public:
  request_options() noexcept {}
  request_options(request_options&&) noexcept = default;
  request_options& operator=(request_options&&) noexcept = default;
  request_options(const request_options& other);
  request_options& operator=(const request_options& other);
  ~request_options() = default;

  // ---- header ----------------------------------------------------------------------------------
  // Instead of the session's field of that name.
  request_options&& with_header(std::string_view name, std::string_view value) &&;
  request_options&& with_headers(http::headers all) &&;
  // Authorization: Basic. The name has no colon in it.
  request_options&& with_basic_auth(std::string_view user, std::string_view password) &&;
  // Authorization: Bearer.
  request_options&& with_bearer(std::string_view token) &&;
  // One more cookie, beside those of the session's jar. For this request's own server only.
  request_options&& with_cookie(std::string_view name, std::string_view value) &&;

  // ---- query -----------------------------------------------------------------------------------
  // One more name=value behind the URL's own query, encoded.
  request_options&& with_param(std::string_view name, std::string_view value) &&;

  // ---- body: one of these ----------------------------------------------------------------------
  request_options&& with_content(std::string content) &&;
  request_options&& with_content(std::string content, std::string_view type) &&;
  // JSON text, sent as application/json. For values see plait/http/json.hpp.
  request_options&& with_json(std::string text) &&;
  // One more field of a form, sent as application/x-www-form-urlencoded.
  request_options&& with_field(std::string_view name, std::string_view value) &&;
  // A form with files, sent as multipart/form-data.
  request_options&& with_multipart(multipart form) &&;
  // Piece by piece, as it comes.
  request_options&& with_body(std::shared_ptr<body_source> body) &&;

  // ---- conduct ---------------------------------------------------------------------------------
  // Instead of the session's timeouts.total.
  template <class Rep, class Period>
  request_options&& with_timeout(const std::chrono::duration<Rep, Period>& total) && {
    parts().timeout = plait::detail::to_duration(total);
    return std::move(*this);
  }
  // Instead of the session's; 0: redirects are returned as they come.
  request_options&& with_max_redirects(unsigned most) &&;
  // Instead of the session's.
  request_options&& with_retries(retry_policy retries) &&;

  http::headers& headers() { return parts().headers; }
  const http::headers& headers() const noexcept { return parts().headers; }
  std::string& content() { return parts().content; }
  const std::string& content() const noexcept { return parts().content; }
  const std::shared_ptr<body_source>& body() const noexcept { return parts().body; }
  // "a=b&c=d", encoded.
  const std::string& params() const noexcept { return parts().params; }
  const std::optional<plait::duration>& timeout() const noexcept { return parts().timeout; }
  const std::optional<unsigned>& max_redirects() const noexcept { return parts().max_redirects; }
  const retry_policy* retries() const noexcept { return parts().retries.get(); }
  // Without a body, as after a redirect that turns it into a GET.
  void drop_body();

 private:
  // Made when the first of it is said: most requests say nothing, and ten thousand may wait.
  struct all_parts {
    http::headers headers;
    std::string content, params;
    std::shared_ptr<body_source> body;
    std::shared_ptr<const retry_policy> retries;
    std::optional<plait::duration> timeout;
    std::optional<unsigned> max_redirects;
  };
  static const all_parts none;
  all_parts& parts();
  const all_parts& parts() const noexcept { return parts_ != nullptr ? *parts_ : none; }
  std::unique_ptr<all_parts> parts_;
};

// The value of an Authorization field.
std::string basic_auth(std::string_view user, std::string_view password);

}  // namespace plait::http

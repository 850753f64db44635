#include "plait/http/request_options.hpp"

#include "http/encoding.hpp"
#include "plait/http/errors.hpp"

namespace plait::http {
namespace {

void append_pair(std::string& to, std::string_view name, std::string_view value) {
  if (!to.empty()) to += '&';
  append_form_encoded(to, name);
  to += '=';
  append_form_encoded(to, value);
}

}  // namespace

constinit const request_options::all_parts request_options::none;

request_options::request_options(const request_options& other)
    : parts_(other.parts_ != nullptr ? std::make_unique<all_parts>(*other.parts_) : nullptr) {}
request_options& request_options::operator=(const request_options& other) {
  if (this != &other) *this = request_options(other);
  return *this;
}
request_options::all_parts& request_options::parts() {
  if (parts_ == nullptr) parts_ = std::make_unique<all_parts>();
  return *parts_;
}

std::string basic_auth(std::string_view user, std::string_view password) {
  if (user.find(':') != std::string_view::npos)
    throw invalid_header("a user name of basic authentication cannot have a colon in it");
  return "Basic " + base64(std::string(user).append(":").append(password));
}

request_options&& request_options::with_header(std::string_view name, std::string_view value) && {
  parts().headers.set(name, value);
  return std::move(*this);
}

request_options&& request_options::with_headers(http::headers all) && {
  parts().headers = std::move(all);
  return std::move(*this);
}

request_options&& request_options::with_basic_auth(std::string_view user,
                                                   std::string_view password) && {
  parts().headers.set("Authorization", basic_auth(user, password));
  return std::move(*this);
}

request_options&& request_options::with_bearer(std::string_view token) && {
  parts().headers.set("Authorization", std::string("Bearer ").append(token));
  return std::move(*this);
}

request_options&& request_options::with_cookie(std::string_view name, std::string_view value) && {
  if (name.find_first_of("=; ") != std::string_view::npos || name.empty() ||
      value.find(';') != std::string_view::npos)
    throw invalid_header("'" + std::string(name) + "' cannot be a cookie with that value");
  std::string all(parts().headers.get("Cookie"));
  if (!all.empty()) all.append("; ");
  parts().headers.set("Cookie", all.append(name).append("=").append(value));
  return std::move(*this);
}

request_options&& request_options::with_param(std::string_view name, std::string_view value) && {
  append_pair(parts().params, name, value);
  return std::move(*this);
}

request_options&& request_options::with_content(std::string content) && {
  parts().content = std::move(content);
  return std::move(*this);
}

request_options&& request_options::with_content(std::string content, std::string_view type) && {
  parts().content = std::move(content);
  parts().headers.set("Content-Type", type);
  return std::move(*this);
}

request_options&& request_options::with_json(std::string text) && {
  return std::move(*this).with_content(std::move(text), "application/json");
}

request_options&& request_options::with_field(std::string_view name, std::string_view value) && {
  append_pair(parts().content, name, value);
  parts().headers.set("Content-Type", "application/x-www-form-urlencoded");
  return std::move(*this);
}

request_options&& request_options::with_multipart(multipart form) && {
  parts().headers.set("Content-Type", form.content_type());
  parts().body = std::move(form).body();
  return std::move(*this);
}

request_options&& request_options::with_body(std::shared_ptr<body_source> body) && {
  parts().body = std::move(body);
  return std::move(*this);
}

request_options&& request_options::with_max_redirects(unsigned most) && {
  parts().max_redirects = most;
  return std::move(*this);
}

request_options&& request_options::with_retries(retry_policy retries) && {
  parts().retries = std::make_shared<const retry_policy>(retries);
  return std::move(*this);
}

void request_options::drop_body() {
  if (parts_ == nullptr) return;
  parts().content.clear();
  parts().body.reset();
  for (const char* name : {"Content-Type", "Content-Encoding", "Content-Language"})
    parts().headers.erase(name);
}

}  // namespace plait::http

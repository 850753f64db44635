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

std::string basic_auth(std::string_view user, std::string_view password) {
  if (user.find(':') != std::string_view::npos)
    throw invalid_header("a user name of basic authentication cannot have a colon in it");
  return "Basic " + base64(std::string(user).append(":").append(password));
}

request_options&& request_options::with_header(std::string_view name, std::string_view value) && {
  headers_.set(name, value);
  return std::move(*this);
}

request_options&& request_options::with_headers(http::headers all) && {
  headers_ = std::move(all);
  return std::move(*this);
}

request_options&& request_options::with_basic_auth(std::string_view user,
                                                   std::string_view password) && {
  headers_.set("Authorization", basic_auth(user, password));
  return std::move(*this);
}

request_options&& request_options::with_bearer(std::string_view token) && {
  headers_.set("Authorization", std::string("Bearer ").append(token));
  return std::move(*this);
}

request_options&& request_options::with_cookie(std::string_view name, std::string_view value) && {
  if (name.find_first_of("=; ") != std::string_view::npos || name.empty() ||
      value.find(';') != std::string_view::npos)
    throw invalid_header("'" + std::string(name) + "' cannot be a cookie with that value");
  std::string all(headers_.get("Cookie"));
  if (!all.empty()) all.append("; ");
  headers_.set("Cookie", all.append(name).append("=").append(value));
  return std::move(*this);
}

request_options&& request_options::with_param(std::string_view name, std::string_view value) && {
  append_pair(params_, name, value);
  return std::move(*this);
}

request_options&& request_options::with_content(std::string content) && {
  content_ = std::move(content);
  return std::move(*this);
}

request_options&& request_options::with_content(std::string content, std::string_view type) && {
  content_ = std::move(content);
  headers_.set("Content-Type", type);
  return std::move(*this);
}

request_options&& request_options::with_json(std::string text) && {
  return std::move(*this).with_content(std::move(text), "application/json");
}

request_options&& request_options::with_field(std::string_view name, std::string_view value) && {
  append_pair(content_, name, value);
  headers_.set("Content-Type", "application/x-www-form-urlencoded");
  return std::move(*this);
}

request_options&& request_options::with_multipart(multipart form) && {
  headers_.set("Content-Type", form.content_type());
  body_ = std::move(form).body();
  return std::move(*this);
}

request_options&& request_options::with_body(std::shared_ptr<body_source> body) && {
  body_ = std::move(body);
  return std::move(*this);
}

request_options&& request_options::with_max_redirects(unsigned most) && {
  max_redirects_ = most;
  return std::move(*this);
}

request_options&& request_options::with_retries(retry_policy retries) && {
  retries_ = std::make_shared<const retry_policy>(retries);
  return std::move(*this);
}

void request_options::drop_body() {
  content_.clear();
  body_.reset();
  for (const char* name : {"Content-Type", "Content-Encoding", "Content-Language"})
    headers_.erase(name);
}

}  // namespace plait::http

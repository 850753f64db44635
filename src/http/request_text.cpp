#include "http/request_text.hpp"

#include "http/content_coding.hpp"

namespace plait::http {
namespace {

// What we say ourselves.
bool is_framing(std::string_view name) noexcept {
  return same_token(name, "Content-Length") || same_token(name, "Transfer-Encoding");
}
void append_field(std::string& to, std::string_view name, std::string_view value) {
  to.append(name).append(": ").append(value).append("\r\n");
}

// What a session says itself, but for what `fields` or its own headers say.
void append_usual(std::string& to, const client_options& session, const headers& fields) {
  const auto said = [&](std::string_view name) {
    return fields.contains(name) || session.headers.contains(name);
  };
  if (!said("User-Agent") && !session.user_agent.empty())
    append_field(to, "User-Agent", session.user_agent);
  if (!said("Accept")) to.append("Accept: */*\r\n");
  if (session.compression == compression::accept && !said("Accept-Encoding"))
    append_field(to, "Accept-Encoding", accepted_codings);
}

// The session's fields and the request's, but for their cookies.
void append_given(std::string& to, const client_options& session, const headers& fields,
                  credentials whose) {
  const auto travels = [&](std::string_view name) {
    return !is_framing(name) && !same_token(name, "Cookie") &&
           (whose == credentials::ours || !same_token(name, "Authorization"));
  };
  for (const auto field : session.headers)
    if (!fields.contains(field.name) && travels(field.name))
      append_field(to, field.name, field.value);
  for (const auto field : fields)
    if (travels(field.name)) append_field(to, field.name, field.value);
}

// One field of all: those of the jar, and the request's own or else the session's (RFC 6265, 5.4).
void append_cookies(std::string& to, std::string_view jar, const headers& own) {
  std::size_t n = 0;
  const auto append = [&](std::string_view cookies) {
    to.append(n++ == 0 ? "Cookie: " : "; ").append(cookies);
  };
  if (!jar.empty()) append(jar);
  for (const auto field : own)
    if (same_token(field.name, "Cookie")) append(field.value);
  if (n != 0) to.append("\r\n");
}

}  // namespace

usual_fields::usual_fields(const client_options& session)
    : names_host(session.headers.contains("Host")),
      has_cookies(session.headers.contains("Cookie")) {
  append_usual(text, session, {});
  append_given(text, session, {}, credentials::ours);
}

void append_request(std::string& text, const std::string& method, const url& to,
                    const client_options& session, const usual_fields& usual,
                    const request_options& given, body_framing framing, std::string_view cookies,
                    credentials whose, const proxy* relay) {
  const auto& fields = given.headers();
  const std::string& content = given.content();
  text.append(method).append(" ");
  if (relay != nullptr) {
    text.append(to.scheme()).append("://");
    to.append_authority(text);
  }
  text.append(to.target()).append(" HTTP/1.1\r\n");
  if (relay != nullptr && relay->has_credentials())
    append_field(text, "Proxy-Authorization", basic_auth(relay->user, relay->password));
  if (!usual.names_host && !fields.contains("Host")) {
    text.append("Host: ");
    to.append_authority(text);
    text.append("\r\n");
  }
  if (fields.empty() && whose == credentials::ours) {
    text.append(usual.text);
  } else {
    append_usual(text, session, fields);
    append_given(text, session, fields, whose);
  }
  if (whose == credentials::withheld) {
    append_cookies(text, cookies, {});
  } else if (!cookies.empty() || usual.has_cookies || !fields.empty()) {
    append_cookies(text, cookies, fields.contains("Cookie") ? fields : session.headers);
  }
  if (framing.chunked) {
    text.append("Transfer-Encoding: chunked\r\n");
  } else if (framing.length || !content.empty() || method == "POST" || method == "PUT" ||
             method == "PATCH") {
    append_field(text, "Content-Length", std::to_string(framing.length.value_or(content.size())));
  }
  text.append("\r\n");
  if (!framing.length && !framing.chunked) text.append(content);
}

}  // namespace plait::http

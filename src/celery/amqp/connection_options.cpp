#include "celery/amqp/connection_options.hpp"

#include <charconv>

#include "plait/net/errors.hpp"

namespace plait::celery::amqp {
namespace {

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string decoded(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escape =
        text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0;
    plain += escape ? static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2])) : text[i];
    if (escape) i += 2;
  }
  return plain;
}

int number(std::string_view text, int most, const char* what) {
  int parsed = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), parsed);
  if (failed != std::errc() || end != text.data() + text.size() || parsed < 0 || parsed > most)
    throw invalid_url("an AMQP URL's " + std::string(what) + " is \"" + std::string(text) +
                      "\", not a number up to " + std::to_string(most));
  return parsed;
}

void read_host(std::string_view host, connection_options& into) {
  std::string_view port;
  if (host.starts_with('[')) {  // an IPv6 address
    const std::size_t end = host.find(']');
    if (end == std::string_view::npos || end == 1)
      throw invalid_url("an AMQP URL's address in [] has no end, or is empty");
    into.host = host.substr(1, end - 1);
    port = host.substr(end + 1);
  } else {
    const std::size_t colon = host.find(':');
    if (const auto name = host.substr(0, colon); !name.empty()) into.host = decoded(name);
    if (colon != std::string_view::npos) port = host.substr(colon);
  }
  if (port.empty()) return;
  if (!port.starts_with(':')) throw invalid_url("an AMQP URL's port follows a ':'");
  into.port = static_cast<std::uint16_t>(number(port.substr(1), 65535, "port"));
}

void read_query(std::string_view query, connection_options& into, net::tls_client_options& tls) {
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view field = query.substr(0, end);
    query = end == std::string_view::npos ? std::string_view{} : query.substr(end + 1);
    const std::size_t equals = field.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view key = field.substr(0, equals);
    const std::string text = decoded(field.substr(equals + 1));
    if (key == "quorum") {
      into.quorum = text == "1" || text == "true";
    } else if (key == "max_priority") {
      into.max_priority = number(text, 255, "max_priority");
    } else if (key == "heartbeat") {
      into.heartbeat = std::chrono::seconds(number(text, 3600, "heartbeat"));
    } else if (key == "ssl_cert_reqs" && (text == "none" || text == "CERT_NONE")) {
      tls.verify = net::tls_verify::nothing;
    } else if (key == "ssl_ca_certs") {
      tls.ca = text;
    } else if (key == "ssl_certfile") {
      tls.certificate = text;
    } else if (key == "ssl_keyfile") {
      tls.key = text;
    }  // The rest are settings of py-amqp, which mean nothing here.
  }
}

}  // namespace

connection_options parse_url(std::string_view url) {
  const std::size_t colons = url.find("://");
  const std::string_view scheme = url.substr(0, colons);
  if (colons == std::string_view::npos ||
      (scheme != "amqp" && scheme != "amqps" && scheme != "pyamqp"))
    throw invalid_url("an AMQP URL begins amqp:// or amqps://");
  url.remove_prefix(colons + 3);
  connection_options options;
  if (scheme == "amqps") options.port = 5671;
  // A password may have a '?' or '/' that nobody escaped, so the last '@' counts.
  if (const std::size_t at = url.rfind('@'); at != std::string_view::npos) {
    const std::string_view credentials = url.substr(0, at);
    const std::size_t colon = credentials.find(':');
    options.user = decoded(credentials.substr(0, colon));
    if (colon != std::string_view::npos) options.password = decoded(credentials.substr(colon + 1));
    url.remove_prefix(at + 1);
  }
  net::tls_client_options tls;
  if (const std::size_t query = url.find('?'); query != std::string_view::npos) {
    read_query(url.substr(query + 1), options, tls);
    url = url.substr(0, query);
  }
  const std::size_t slash = url.find('/');
  read_host(url.substr(0, slash), options);
  if (slash != std::string_view::npos && slash + 1 < url.size())
    options.virtual_host = decoded(url.substr(slash + 1));
  if (scheme == "amqps") {
    try {
      options.tls.emplace(tls);
    } catch (const net::tls_error& e) {  // a file that is not there, or not PEM
      throw invalid_url("an AMQP URL's certificates: " + std::string(e.what()));
    }
  }
  return options;
}

std::string to_text(const connection_options& options) {
  const bool v6 = options.host.find(':') != std::string::npos;
  return (options.tls ? "amqps://" : "amqp://") + (v6 ? "[" + options.host + "]" : options.host) +
         ":" + std::to_string(options.port) + "/" + options.virtual_host;
}

}  // namespace plait::celery::amqp

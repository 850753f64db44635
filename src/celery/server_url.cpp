#include "celery/server_url.hpp"

#include <charconv>
#include <stdexcept>

namespace plait::celery::detail {
namespace {

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void read_host(std::string_view host, server_url& into, const std::string& kind) {
  std::string_view port;
  if (host.starts_with('[')) {  // an IPv6 address
    const std::size_t end = host.find(']');
    if (end == std::string_view::npos || end == 1)
      throw std::invalid_argument(kind + "'s address in [] has no end, or is empty");
    into.host = host.substr(1, end - 1);
    port = host.substr(end + 1);
  } else {
    const std::size_t colon = host.find(':');
    into.host = decode_url(host.substr(0, colon));
    if (colon != std::string_view::npos) port = host.substr(colon);
  }
  if (port.empty()) return;
  if (!port.starts_with(':')) throw std::invalid_argument(kind + "'s port follows a ':'");
  into.port = static_cast<std::uint16_t>(number_in_url(port.substr(1), 65535, kind, "port"));
}

void read_query(std::string_view query, server_url& into) {
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view field = query.substr(0, end);
    query = end == std::string_view::npos ? std::string_view{} : query.substr(end + 1);
    const std::size_t equals = field.find('=');
    if (equals != std::string_view::npos)
      into.fields.emplace_back(field.substr(0, equals), decode_url(field.substr(equals + 1)));
  }
}

}  // namespace

std::string decode_url(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escape =
        text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0;
    plain += escape ? static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2])) : text[i];
    if (escape) i += 2;
  }
  return plain;
}

int number_in_url(std::string_view text, int most, const std::string& kind, const char* what) {
  int parsed = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), parsed);
  if (failed != std::errc() || end != text.data() + text.size() || parsed < 0 || parsed > most)
    throw std::invalid_argument(kind + "'s " + what + " is \"" + std::string(text) +
                                "\", not a number up to " + std::to_string(most));
  return parsed;
}

server_url split_server_url(std::string_view url, const std::string& kind) {
  server_url found;
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return found;
  found.scheme = url.substr(0, scheme);
  url.remove_prefix(scheme + 3);
  // A password may have a '?' or '/' that nobody escaped, so the last '@' counts.
  if (const std::size_t at = url.rfind('@'); at != std::string_view::npos) {
    const std::string_view credentials = url.substr(0, at);
    const std::size_t colon = credentials.find(':');
    found.user = decode_url(credentials.substr(0, colon));
    if (colon != std::string_view::npos) found.password = decode_url(credentials.substr(colon + 1));
    url.remove_prefix(at + 1);
  }
  if (const std::size_t query = url.find('?'); query != std::string_view::npos) {
    read_query(url.substr(query + 1), found);
    url = url.substr(0, query);
  }
  const std::size_t slash = url.find('/');
  read_host(url.substr(0, slash), found, kind);
  if (slash != std::string_view::npos) found.path = url.substr(slash);
  return found;
}

net::tls_client_options tls_options_of(const server_url& url) {
  net::tls_client_options tls;
  for (const auto& [key, text] : url.fields) {
    if (key == "ssl_cert_reqs" && (text == "none" || text == "CERT_NONE"))
      tls.verify = net::tls_verify::nothing;
    if (key == "ssl_ca_certs") tls.ca = text;
    if (key == "ssl_certfile") tls.certificate = text;
    if (key == "ssl_keyfile") tls.key = text;
  }
  return tls;
}

}  // namespace plait::celery::detail

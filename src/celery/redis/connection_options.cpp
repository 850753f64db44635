#include "celery/redis/connection_options.hpp"

#include <charconv>

namespace plait::celery::redis {
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
    throw invalid_url("a Redis URL's " + std::string(what) + " is \"" + std::string(text) +
                      "\", not a number up to " + std::to_string(most));
  return parsed;
}

struct parts {
  std::string_view scheme, credentials, host, path, query;
};

parts split(std::string_view url) {
  parts found;
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos)
    throw invalid_url("a Redis URL begins redis://, rediss:// or redis+socket://");
  found.scheme = url.substr(0, scheme);
  url.remove_prefix(scheme + 3);
  // A password may have a '?' or '/' that nobody escaped, so the last '@' counts.
  if (const std::size_t at = url.rfind('@'); at != std::string_view::npos) {
    found.credentials = url.substr(0, at);
    url.remove_prefix(at + 1);
  }
  if (const std::size_t query = url.find('?'); query != std::string_view::npos) {
    found.query = url.substr(query + 1);
    url = url.substr(0, query);
  }
  const std::size_t slash = url.find('/');
  found.host = url.substr(0, slash);
  if (slash != std::string_view::npos) found.path = url.substr(slash);
  return found;
}

void read_host(std::string_view host, connection_options& into) {
  std::string_view port;
  if (host.starts_with('[')) {  // an IPv6 address
    const std::size_t end = host.find(']');
    if (end == std::string_view::npos || end == 1)
      throw invalid_url("a Redis URL's address in [] has no end, or is empty");
    into.host = host.substr(1, end - 1);
    port = host.substr(end + 1);
  } else {
    const std::size_t colon = host.find(':');
    if (const auto name = host.substr(0, colon); !name.empty()) into.host = decoded(name);
    if (colon != std::string_view::npos) port = host.substr(colon);
  }
  if (port.empty()) return;
  if (!port.starts_with(':')) throw invalid_url("a Redis URL's port follows a ':'");
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
    if (key == "db" || key == "virtual_host") {
      const std::string_view name = text;
      into.database = number(name.substr(name.starts_with('/') ? 1 : 0), 1 << 20, "database");
    } else if (key == "ssl_cert_reqs" && (text == "none" || text == "CERT_NONE")) {
      tls.verify = net::tls_verify::nothing;
    } else if (key == "ssl_ca_certs") {
      tls.ca = text;
    } else if (key == "ssl_certfile") {
      tls.certificate = text;
    } else if (key == "ssl_keyfile") {
      tls.key = text;
    }  // The rest are settings of redis-py, which mean nothing here.
  }
}

}  // namespace

connection_options parse_url(std::string_view url) {
  const parts found = split(url);
  const bool local = found.scheme == "redis+socket" || found.scheme == "unix";
  if (!local && found.scheme != "redis" && found.scheme != "rediss")
    throw invalid_url("a Redis URL begins redis://, rediss:// or redis+socket://, not " +
                      std::string(found.scheme) + "://");
  connection_options options;
  const std::size_t colon = found.credentials.find(':');
  if (colon == std::string_view::npos) {
    options.user = decoded(found.credentials);
  } else {
    options.user = decoded(found.credentials.substr(0, colon));
    options.password = decoded(found.credentials.substr(colon + 1));
  }
  if (local) {
    options.socket = decoded(found.path);
    if (options.socket.size() < 2) throw invalid_url("a redis+socket:// URL names a socket's path");
  } else {
    read_host(found.host, options);
    if (found.path.size() > 1) options.database = number(found.path.substr(1), 1 << 20, "database");
  }
  net::tls_client_options tls;
  read_query(found.query, options, tls);
  if (found.scheme == "rediss") options.tls.emplace(tls);
  return options;
}

std::string to_text(const connection_options& options) {
  const std::string database = std::to_string(options.database);
  if (!options.socket.empty())
    return "redis+socket://" + options.socket + "?virtual_host=" + database;
  const bool v6 = options.host.find(':') != std::string::npos;
  return (options.tls ? "rediss://" : "redis://") + (v6 ? "[" + options.host + "]" : options.host) +
         ":" + std::to_string(options.port) + "/" + database;
}

}  // namespace plait::celery::redis

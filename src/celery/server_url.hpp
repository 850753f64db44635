// celery/server_url.hpp: the URL of a server, taken apart: what amqp:// and redis:// have in common.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plait/net/tls_context.hpp"

namespace plait::celery::detail {

struct server_url {
  std::string scheme;
  std::optional<std::string> user, password;
  std::string host;  // "": not said
  std::optional<std::uint16_t> port;
  std::string path;                                         // with its '/'; not decoded
  std::vector<std::pair<std::string, std::string>> fields;  // of the query
};

// `kind` is for messages: "a Redis URL". Throws std::invalid_argument, which does not show the password.
server_url split_server_url(std::string_view url, const std::string& kind);

// Up to `most`. Throws std::invalid_argument.
int number_in_url(std::string_view text, int most, const std::string& kind, const char* what);
// %41 and the like.
std::string decode_url(std::string_view text);
// kombu's ssl_cert_reqs, ssl_ca_certs, ssl_certfile and ssl_keyfile; other fields are left alone.
net::tls_client_options tls_options_of(const server_url& url);

}  // namespace plait::celery::detail

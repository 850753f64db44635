// src/celery/amqp/connection_options.hpp: where a broker is, who we are there, how patient we are.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "celery/amqp/errors.hpp"
#include "plait/core/clock.hpp"
#include "plait/net/tls_context.hpp"

namespace plait::celery::amqp {

struct connection_options {
  std::string host = "127.0.0.1";
  std::uint16_t port = 5672;
  std::optional<net::tls_client_context> tls = {};
  std::string user = "guest", password = "guest";
  std::string virtual_host = "/";
  bool quorum = false;   // new queues are quorum queues
  int max_priority = 0;  // of new queues; 0: they have no priorities

  duration connect_timeout = std::chrono::seconds(10);
  // How long a command may take, the wait for a connection or an unblocked broker included.
  duration patience = std::chrono::seconds(30);
  // Both sides send one when they have nothing else to say for half of it; nothing for twice of it is
  // the end of the connection.
  std::chrono::seconds heartbeat = std::chrono::seconds(10);
  duration first_retry = std::chrono::milliseconds(100), longest_retry = std::chrono::seconds(10);
  std::uint64_t message_bytes = std::uint64_t{256} << 20;  // the most that is read
};

// What a URL says, the rest as above:
//   amqp://[user[:password]@]host[:port][/virtual_host][?quorum=1&max_priority=9&heartbeat=10]
// amqps:// is the same in TLS, on 5671, with kombu's ssl_cert_reqs, ssl_ca_certs, ssl_certfile and
// ssl_keyfile. "//" after the host is the virtual host "/", as is nothing. Throws invalid_url, which does
// not show the password.
connection_options parse_url(std::string_view url);

// The same as a URL, without the password.
std::string to_text(const connection_options& options);

}  // namespace plait::celery::amqp

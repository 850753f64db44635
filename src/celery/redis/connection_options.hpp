// src/celery/redis/connection_options.hpp: where a Redis server is, who we are there, and how
// patient we are with it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "celery/redis/resp.hpp"
#include "plait/core/clock.hpp"
#include "plait/net/tls_context.hpp"

namespace plait::celery::redis {

enum class resp_version { newest, resp2 };  // newest: RESP3 where the server knows it
// CLIENT TRACKING: the server tells when a key that was read has changed. RESP3 only.
enum class tracking { off, on };

struct connection_options {
  std::string host = "127.0.0.1";
  std::uint16_t port = 6379;
  std::string socket = {};  // a Unix socket's path, instead of host and port
  std::optional<net::tls_client_context> tls = {};
  std::string user = {}, password = {};
  int database = 0;
  std::string client_name = "plait";

  duration connect_timeout = std::chrono::seconds(5);  // for all of it, to the first command
  duration command_timeout = std::chrono::seconds(30);
  // How long nothing may come before the server is asked whether it is there; two questions without
  // an answer are the end of the connection.
  duration ping_every = std::chrono::seconds(10);
  // Between attempts to connect: doubled each time, half of it by chance.
  duration first_retry = std::chrono::milliseconds(100), longest_retry = std::chrono::seconds(10);
  std::size_t unsent_bytes = std::size_t{64} << 20;  // above that who sends more has to wait
  reader_limits replies = {};
  resp_version protocol = resp_version::newest;
  redis::tracking tracking = redis::tracking::off;
};

// What a URL says, the rest as above:
//   redis://[[user]:password@]host[:port][/database]      rediss:// the same in TLS
//   redis+socket://[[user]:password@]/path[?virtual_host=database]      or unix://
// rediss takes redis-py's ssl_cert_reqs, ssl_ca_certs, ssl_certfile and ssl_keyfile in its query.
// Throws invalid_url, which does not show the password.
connection_options parse_url(std::string_view url);

// The same server as a URL, without the password.
std::string to_text(const connection_options& options);

}  // namespace plait::celery::redis

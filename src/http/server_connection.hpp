// src/http/server_connection.hpp: what a server says on one connection, from accept to close.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>

#include "http/live_connection.hpp"
#include "plait/http/server.hpp"
#include "plait/net/tcp_stream.hpp"

namespace plait::http {

// What all connections of a server share.
struct server_context {
  server_options options;
  server::handler handler;
  // Asked for each request that has a body.
  std::function<route_options(const request&)> wishes = {};
  std::optional<net::tls_server_context> tls = {};
  live_connections* connections = nullptr;
  server_statistics statistics = {};
  std::unordered_map<std::string, std::size_t> peers = {};  // connections by address
};

// Reads requests and answers them until one side closes.
task<> converse(server_context& server, live_connection& self, net::tcp_stream stream);
// The same behind a handshake.
task<> converse_over_tls(server_context& server, live_connection& self, net::tcp_stream stream);

}  // namespace plait::http

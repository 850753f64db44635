// src/http/server_connection.hpp: what a server says on one connection, from accept to close.
#pragma once

#include "http/live_connection.hpp"
#include "plait/http/server.hpp"
#include "plait/net/tcp_stream.hpp"

namespace plait::http {

// What all connections of a server share.
struct server_context {
  server_options options;
  server::handler handler;
  net::detail::serving* connections = nullptr;
  std::size_t accepted = 0;
  std::size_t requests = 0;
};

// Reads requests and answers them until one side closes.
task<> converse(server_context& server, live_connection& self, net::tcp_stream stream);

}  // namespace plait::http

// src/http/tunnel.hpp: through a proxy to a server: CONNECT (RFC 9110, 9.3.6) and SOCKS 5 (RFC 1928, 1929).
//
// Stops:    a stopped tunnel leaves a connection that is of no more use.
// Throws:   proxy_error, which says in words what the proxy answered.
#pragma once

#include <cstddef>

#include "http/proxy.hpp"
#include "plait/coroutines/task.hpp"
#include "plait/net/tcp_stream.hpp"

namespace plait::http {

// `stream` is connected to the proxy. Afterwards it is as one connected to the host and port of `to`.
// All references must stay.
task<> open_tunnel(net::tcp_stream& stream, const proxy& by, const url& to,
                   std::size_t most_header_bytes);

}  // namespace plait::http

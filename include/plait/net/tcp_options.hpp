// plait/net/tcp_options.hpp: how a TCP connection sends, and how it notices that nobody is there.
//
//   tcp_stream::connect(host, port, {.socket = {.keepalive = plait::net::keepalive_options{}}});
//   tcp_listener::bind("::", 80, {.connections = {.send_buffer_bytes = 1 << 20}});
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>

#include "plait/core/clock.hpp"

namespace plait::net {

// When nothing has come for `idle`, the kernel asks the other end every `interval` whether it is
// there; after `probes` questions without an answer reading throws connection_closed (ETIMEDOUT).
// Spans are rounded up to seconds.
struct keepalive_options {
  duration idle = std::chrono::seconds(60);
  duration interval = std::chrono::seconds(10);
  int probes = 6;
};

struct tcp_options {
  // Small writes leave at once (TCP_NODELAY) instead of waiting for the answer to the one before.
  bool no_delay = true;
  // Nothing: a connection whose other end has vanished stays open until something is written.
  std::optional<keepalive_options> keepalive = std::nullopt;
  // What was sent and is not acknowledged for so long ends the connection (TCP_USER_TIMEOUT).
  // Zero: after the kernel's many attempts, a quarter of an hour.
  duration user_timeout = duration::zero();
  // Of the kernel; it doubles them for its own needs. 0: as it sees fit, growing with the speed.
  std::size_t receive_buffer_bytes = 0, send_buffer_bytes = 0;
};

}  // namespace plait::net

// src/http/network.hpp: the transport that a session has unless it is given another: TCP, and TLS on it.
#pragma once

#include <optional>

#include "plait/http/transport.hpp"
#include "plait/net/tls_context.hpp"

namespace plait::http {

class network final : public transport {
 public:
  explicit network(net::tls_client_options tls) : tls_(std::move(tls)) {}
  task<std::unique_ptr<byte_stream>> connect(const url& to) override;

 private:
  const net::tls_client_context& context();
  net::tls_client_options tls_;
  std::optional<net::tls_client_context> context_;  // made when it is first needed
};

}  // namespace plait::http

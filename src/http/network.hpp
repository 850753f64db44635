// src/http/network.hpp: the transport that a session has unless it is given another: TCP, and TLS on it,
// through a proxy if one is to be used.
#pragma once

#include <optional>

#include "http/proxy.hpp"
#include "plait/http/client_options.hpp"
#include "plait/http/transport.hpp"
#include "plait/net/tls_context.hpp"

namespace plait::http {

class network final : public transport {
 public:
  // The options must stay.
  explicit network(const client_options& options)
      : options_(options),
        proxies_(options.transport != nullptr ? "direct" : options.proxy, options.no_proxy) {}
  task<std::unique_ptr<byte_stream>> connect(const url& to) override;
  // The proxy that wants to see the request for `to` itself, or null.
  const proxy* relay(const url& to) const {
    const proxy* by = proxies_.find(to);
    return by != nullptr && passes_on(*by, to) ? by : nullptr;
  }

 private:
  // A proxy that passes requests on does not do so in HTTP/2: that has to be a tunnel.
  bool passes_on(const proxy& by, const url& to) const noexcept {
    return by.passes_on(to) && options_.version != http_version::http2;
  }
  const net::tls_client_context& context();
  const client_options& options_;
  const proxy_rules proxies_;
  std::optional<net::tls_client_context> context_;  // made when it is first needed
};

}  // namespace plait::http

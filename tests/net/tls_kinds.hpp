// tests/net/tls_kinds.hpp: TLS over each kind of stream.
#pragma once

#include <string>
#include <utility>

#include "plait/net/tls.hpp"
#include "stream_kinds.hpp"
#include "test_authority.hpp"

// One authority for the whole program: making keys takes time.
inline const test_authority& authority() {
  static const test_authority one;
  return one;
}
inline const plait::net::tls_client_context& trusting() {
  static const plait::net::tls_client_context context({.ca = authority().pem()});
  return context;
}
inline const plait::net::tls_server_context& shown() {
  static const plait::net::tls_server_context context = [] {
    const identity local = authority().issue();
    return plait::net::tls_server_context({.certificate = local.certificate, .key = local.key});
  }();
  return context;
}

template <class Under>
struct tls_over_kind {
  using stream = plait::net::tls_stream;
  using says_its_end = void;
  static plait::task<ends<stream>> connect() {
    auto [a, b] = co_await Under::connect();
    auto serving = plait::spawn(stream::server(std::move(b), shown()));
    auto client = co_await stream::client(std::move(a), "localhost", trusting());
    auto server = co_await std::move(serving);
    co_return ends<stream>(std::move(client), std::move(server));
  }
};

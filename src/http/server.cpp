#include "plait/http/server.hpp"

#include "http/server_connection.hpp"
#include "plait/net/serve.hpp"
#include "plait/net/tcp_listener.hpp"

namespace plait::http {
struct server::state : server_context {
  state(server_options o, server::handler h,
        std::function<route_options(const request&)> wishes_of_routes = {})
      : server_context{std::move(o), std::move(h), std::move(wishes_of_routes)},
        listener(net::tcp_listener::bind(
            options.address, options.port,
            {.backlog = options.backlog, .reuse_port = options.reuse_port})) {
    if (options.tls) show(*options.tls);
  }

  void show(net::tls_server_options who) {
    if (who.alpn.empty()) who.alpn = {"http/1.1"};
    net::tls_server_context made(who);  // throws before the old one has gone
    tls = std::move(made);
  }

  task<> serve() {
    live_connections scope(event_loop::current(),
                           {.max_connections = options.max_connections, .grace = options.drain},
                           "an HTTP connection of " + listener.local_endpoint().to_string());
    struct visible {
      server_context& server;
      ~visible() { server.connections = nullptr; }
    };
    connections = &scope;
    const visible while_serving{*this};
    const auto start = [this, &scope](net::detail::serving&, semaphore::permit place,
                                      net::tcp_stream stream) {
      ++statistics.accepted;
      auto connection = std::make_unique<live_connection>(scope, std::move(place));
      if (options.max_connections_per_peer != 0 &&
          !connection->count_peer(peers, stream.peer().address(),
                                  options.max_connections_per_peer)) {
        ++statistics.turned_away;
        return;
      }
      auto conversation = tls ? converse_over_tls(*this, *connection, std::move(stream))
                              : converse(*this, *connection, std::move(stream));
      connection.release()->start(std::move(conversation));
    };
    auto accepting = net::detail::accept_all(listener, scope, start);
    co_await scope.run(std::move(accepting));
  }

  net::tcp_listener listener;
};

server::server(server_options options, handler answer)
    : state_(std::make_unique<state>(std::move(options), std::move(answer))) {}
server::server(server_options options, router routes) {
  const auto shared = std::make_shared<const router>(std::move(routes));
  state_ = std::make_unique<state>(
      std::move(options), [shared](request asked) { return (*shared)(std::move(asked)); },
      [shared](const request& head) { return shared->wishes(head); });
}
server::server(server&&) noexcept = default;
server& server::operator=(server&&) noexcept = default;
server::~server() = default;

task<> server::serve() { return state_->serve(); }
std::uint16_t server::port() const noexcept { return state_->listener.port(); }
std::string server::url() const {
  return (state_->tls ? "https://" : "http://") + state_->listener.local_endpoint().to_string();
}

void server::renew_certificate(const net::tls_server_options& tls) { state_->show(tls); }

server_statistics server::statistics() const noexcept {
  server_statistics result = state_->statistics;
  result.connections = state_->connections != nullptr ? state_->connections->size() : 0;
  return result;
}

}  // namespace plait::http

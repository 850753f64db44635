#include "plait/http/server.hpp"

#include "http/server_connection.hpp"
#include "plait/net/serve.hpp"
#include "plait/net/tcp_listener.hpp"

namespace plait::http {
struct server::state : server_context {
  state(server_options o, server::handler h)
      : server_context{std::move(o), std::move(h)},
        listener(net::tcp_listener::bind(
            options.address, options.port,
            {.backlog = options.backlog, .reuse_port = options.reuse_port})) {}

  task<> serve() {
    net::detail::serving scope(event_loop::current(),
                               {.max_connections = options.max_connections, .grace = options.drain},
                               "an HTTP connection of " + listener.local_endpoint().to_string());
    struct visible {
      server_context& server;
      ~visible() { server.connections = nullptr; }
    };
    connections = &scope;
    const visible while_serving{*this};
    const auto start = [this](net::detail::serving& by, semaphore::permit place,
                              net::tcp_stream stream) {
      ++accepted;
      auto connection = std::make_unique<live_connection>(by, std::move(place));
      auto conversation = converse(*this, *connection, std::move(stream));
      connection.release()->start(std::move(conversation));
    };
    auto accepting = net::detail::accept_all(listener, scope, start);
    co_await scope.run(std::move(accepting));
  }

  net::tcp_listener listener;
};

server::server(server_options options, handler answer)
    : state_(std::make_unique<state>(std::move(options), std::move(answer))) {}
server::server(server&&) noexcept = default;
server& server::operator=(server&&) noexcept = default;
server::~server() = default;

task<> server::serve() { return state_->serve(); }
std::uint16_t server::port() const noexcept { return state_->listener.port(); }
std::string server::url() const {
  return "http://" + state_->listener.local_endpoint().to_string();
}

server_statistics server::statistics() const noexcept {
  return {.connections = state_->connections != nullptr ? state_->connections->size() : 0,
          .accepted = state_->accepted,
          .requests = state_->requests};
}

}  // namespace plait::http

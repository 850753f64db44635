#include "plait/http/server.hpp"

#include "http/connection_set.hpp"
#include "http/server_connection.hpp"
#include "plait/net/tcp_listener.hpp"

namespace plait::http {
namespace {

// The flow that runs the awaiting coroutine.
struct own_flow {
  plait::detail::context* flow = nullptr;
  bool await_ready() const noexcept { return false; }
  template <plait::detail::flow_promise P>
  bool await_suspend(std::coroutine_handle<P> frame) noexcept {
    flow = frame.promise().flow;
    return false;
  }
  plait::detail::context& await_resume() const noexcept { return *flow; }
};

}  // namespace

struct server::state : server_context {
  state(server_options o, server::handler h)
      : server_context{std::move(o), std::move(h)},
        listener(net::tcp_listener::bind(options.address, options.port, {options.backlog})) {}

  task<> accept_all(connection_set& set) {
    auto& flow = co_await own_flow();
    for (;;) {
      co_await set.fewer_than(options.max_connections);
      auto stream = co_await listener.accept();
      ++accepted;
      auto* connection = new live_connection(set, flow);
      connection->start(converse(*this, *connection, std::move(stream)));
    }
  }

  task<> serve() {
    connection_set set(event_loop::current());
    connections = &set;
    std::exception_ptr ended;
    try {
      co_await accept_all(set);
    } catch (...) {
      ended = std::current_exception();
    }
    listener.close();
    set.begin_draining(options.drain);
    co_await set.empty();
    connections = nullptr;
    std::rethrow_exception(ended);
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

#include "http/server_connection.hpp"

#include <optional>

#include "http/conversation.hpp"
#include "plait/net/errors.hpp"
#include "plait/net/tls_stream.hpp"

namespace plait::http {
namespace {

template <class Stream>
task<> converse_on(server_context& server, live_connection& self, Stream& stream,
                   const net::endpoint& peer) {
  try {
    conversation<Stream> talk(server, self, stream, peer);
    bool late = false;
    try {
      co_await talk.run();
    } catch (const cancelled_error&) {
      late = self.timed_out() && self.now_in() == live_connection::phase::receiving;
    }
    if (late) talk.say_too_late();
  } catch (const net::connection_closed&) {
    // The client went away: its own affair.
  } catch (const net::tls_error&) {
    // The same, without a word.
  }
}

}  // namespace

task<> converse(server_context& server, live_connection& self, net::tcp_stream stream) {
  const net::endpoint peer = stream.peer();
  co_await converse_on(server, self, stream, peer);
}

task<> converse_over_tls(server_context& server, live_connection& self, net::tcp_stream raw) {
  const net::endpoint peer = raw.peer();
  const net::tls_server_context shown = *server.tls;
  self.enter(live_connection::phase::shaking_hands, server.options.handshake_timeout);
  net::any_stream transport(std::move(raw));
  struct count_failure {
    server_context& server;
    bool failed = true;
    ~count_failure() {
      if (failed) ++server.statistics.handshakes_failed;
    }
  } counted{server};
  net::tls_stream stream;
  try {
    stream = co_await net::tls_stream::server(std::move(transport), shown);
  } catch (const net::error&) {
    co_return;
  }
  counted.failed = false;
  co_await converse_on(server, self, stream, peer);
}

}  // namespace plait::http

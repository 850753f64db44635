// The TCP echo rows: a server on one loop, as a user would write it. `net_bench echo` (or echo_ring:
// on io_uring) prints where it listens and serves until it is ended; peers/echo_client.cpp measures it.
#include <cstdio>
#include <plait/coroutines.hpp>
#include <plait/net.hpp>
#include <string_view>
#include <utility>

#include "measurement.hpp"

namespace {

plait::task<> echo(plait::net::tcp_stream connection) {
  char buffer[4096];
  try {
    while (const std::size_t got = co_await connection.read_some(buffer))
      co_await connection.write_all(std::string_view{buffer, got});
  } catch (const plait::net::connection_closed&) {  // the client has gone
  }
}

plait::task<> serve() {
  auto listener = plait::net::tcp_listener::bind("127.0.0.1", 0);
  std::printf("listening on 127.0.0.1:%d\n", listener.port());
  std::fflush(stdout);
  auto& loop = plait::event_loop::current();
  for (;;) loop.submit(echo, co_await listener.accept());
}

template <plait::poller_kind kind>
void echo_on(const measurement::arguments&) {
  plait::run(serve(), {.poller = kind});
}

}  // namespace

int main(int argc, char** argv) {
  return measurement::run_mode(argc, argv,
                               {{"echo", echo_on<plait::poller_kind::epoll>},
                                {"echo_ring", echo_on<plait::poller_kind::io_uring>}});
}

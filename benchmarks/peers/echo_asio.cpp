// Boost.Asio (epoll) echo server, one thread, with coroutines.
#include <utility>  // Boost's awaitable.hpp forgets it

#include <boost/asio.hpp>
#include <cstdio>
#include <cstdlib>

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

asio::awaitable<void> echo(tcp::socket connection) {
  char buffer[4096];
  try {
    for (;;) {
      const std::size_t got =
          co_await connection.async_read_some(asio::buffer(buffer), asio::use_awaitable);
      co_await asio::async_write(connection, asio::buffer(buffer, got), asio::use_awaitable);
    }
  } catch (const std::exception&) {  // the client has gone
  }
}

asio::awaitable<void> accept(tcp::acceptor& acceptor) {
  for (;;) {
    tcp::socket connection = co_await acceptor.async_accept(asio::use_awaitable);
    connection.set_option(tcp::no_delay(true));
    asio::co_spawn(acceptor.get_executor(), echo(std::move(connection)), asio::detached);
  }
}

}  // namespace

int main(int argc, char** argv) {
  asio::io_context io{1};
  const auto port = static_cast<unsigned short>(argc > 1 ? std::atoi(argv[1]) : 0);
  tcp::acceptor acceptor{io, {asio::ip::address_v4::loopback(), port}};
  std::printf("listening on 127.0.0.1:%d\n", acceptor.local_endpoint().port());
  std::fflush(stdout);
  asio::co_spawn(io, accept(acceptor), asio::detached);
  io.run();
}

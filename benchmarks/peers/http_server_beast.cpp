// Boost.Beast server on one thread, for the server's row: /get answers with small JSON.
#include <utility>  // Boost's awaitable.hpp forgets it

#include <boost/asio.hpp>
#include <boost/beast.hpp>
#include <cstdio>
#include <cstdlib>

#include "small_json.hpp"

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;

namespace {

asio::awaitable<void> serve(tcp::socket socket) {
  beast::tcp_stream stream{std::move(socket)};
  beast::flat_buffer buffer;
  try {
    for (;;) {
      http::request<http::empty_body> asked;
      co_await http::async_read(stream, buffer, asked, asio::use_awaitable);
      http::response<http::string_body> answer{http::status::ok, asked.version()};
      answer.set(http::field::server, "beast");
      answer.set(http::field::content_type, "application/json");
      answer.keep_alive(asked.keep_alive());
      answer.body().assign(small_json.data(), small_json.size());
      answer.prepare_payload();
      co_await http::async_write(stream, answer, asio::use_awaitable);
      if (!answer.keep_alive()) co_return;
    }
  } catch (const std::exception&) {  // the client has gone
  }
}

asio::awaitable<void> accept(tcp::acceptor& acceptor) {
  for (;;) {
    tcp::socket connection = co_await acceptor.async_accept(asio::use_awaitable);
    connection.set_option(tcp::no_delay(true));
    asio::co_spawn(acceptor.get_executor(), serve(std::move(connection)), asio::detached);
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

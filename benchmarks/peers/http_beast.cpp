// Boost.Beast client: coroutines on one thread, and the blocking calls on threads.
#include <utility>  // Boost's awaitable.hpp forgets it

#include <boost/asio.hpp>
#include <boost/beast.hpp>

#include "../http_workloads.hpp"

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using request = http::request<http::empty_body>;
using response = http::response<http::string_body>;

constexpr const char* name = "beast";

tcp::endpoint endpoint_of(const std::string& target) {
  return {asio::ip::make_address_v4(workloads::host_of(target)),
          static_cast<unsigned short>(std::stoi(workloads::port_of(target)))};
}

request request_for(const std::string& target, const char* path) {
  request made{http::verb::get, path, 11};
  made.set(http::field::host, target);
  made.set(http::field::user_agent, name);
  return made;
}

struct shared_work {
  const measurement::arguments& given;
  const char* path;
  long requests;
  long each;  // requests that one connection makes at most
  long started = 0;
  long good = 0;
};

asio::awaitable<void> fetch(shared_work& work) {
  beast::tcp_stream stream{co_await asio::this_coro::executor};
  beast::flat_buffer buffer;
  co_await stream.async_connect(endpoint_of(work.given.target), asio::use_awaitable);
  for (long i = 0; i < work.each && work.started < work.requests; ++i) {
    ++work.started;
    const request asked = request_for(work.given.target, work.path);
    co_await http::async_write(stream, asked, asio::use_awaitable);
    response answer;
    co_await http::async_read(stream, buffer, answer, asio::use_awaitable);
    work.good += answer.result() == http::status::ok;
  }
}

void run(shared_work work, long connections) {
  const workloads::http_run run{work.given, name};
  asio::io_context io{1};
  for (long i = 0; i < connections; ++i)
    asio::co_spawn(io, fetch(work), [](std::exception_ptr error) {
      if (error) std::rethrow_exception(error);
    });
  io.run();
  run.report(work.requests, work.good);
}

void delay(const measurement::arguments& given) {
  const long n = given.n_or(1000);
  run({given, workloads::delayed_path, n, 1}, n);
}

void keep_alive(const measurement::arguments& given) {
  const long n = given.n_or(100'000);
  run({given, workloads::small_path, n, n}, given.workers);
}

void threads(const measurement::arguments& given) {
  workloads::on_threads(given, name, [&](const char* path) {
    asio::io_context io;
    beast::tcp_stream stream{io};
    stream.connect(endpoint_of(given.target));
    http::write(stream, request_for(given.target, path));
    beast::flat_buffer buffer;
    response answer;
    http::read(stream, buffer, answer);
    return answer.result() == http::status::ok ? 1 : 0;
  });
}

}  // namespace

int main(int argc, char** argv) {
  measurement::raise_open_files();
  return measurement::run_mode(
      argc, argv, {{"delay", delay}, {"keep_alive", keep_alive}, {"threads", threads}});
}

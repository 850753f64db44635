// A server that sends every line back, three clients of it by TCP, and the same server on a stream
// without any network.
#include <chrono>
#include <iostream>
#include <string>

#include <plait/coroutines.hpp>
#include <plait/net.hpp>
#include <plait/testing/memory_stream.hpp>
#include <plait/testing/virtual_clock.hpp>

using plait::net::any_stream;
using plait::net::tcp_listener;
using plait::net::tcp_stream;

plait::task<> echo(any_stream stream) {
  plait::net::buffered_reader reader(stream);
  while (auto line = co_await reader.read_line()) co_await stream.write_all(*line + "\n");
}

plait::task<std::string> ask(any_stream stream, std::string question) {
  co_await stream.write_all(question + "\n");
  co_await stream.shutdown_write();  // no more questions; the answer still comes
  plait::net::buffered_reader reader(stream);
  co_return co_await reader.read_exactly(question.size());
}

plait::task<std::string> ask_by_tcp(std::uint16_t port, std::string question) {
  auto stream = co_await tcp_stream::connect("127.0.0.1", port);
  co_return co_await ask(std::move(stream), std::move(question));
}

plait::task<> ask_three(std::uint16_t port) {
  const auto [first, second, third] = co_await plait::gather(
      ask_by_tcp(port, "one"), ask_by_tcp(port, "two"), ask_by_tcp(port, "three"));
  std::cout << first << ' ' << second << ' ' << third << '\n';
}

// The server would go on for ever: the clients win the race, which stops it and waits for its end.
plait::task<> talk() {
  auto listener = tcp_listener::bind("127.0.0.1", 0);
  co_await plait::race(plait::net::serve(listener, echo), ask_three(listener.port()));
}

// Every read and write moves 1 to 3 bytes, after up to a second each: in no time at all.
plait::task<> talk_without_a_network() {
  auto [client, server] = plait::testing::memory_stream_pair(
      {.largest_piece = 3, .longest_delay = std::chrono::seconds(1), .seed = 1});
  auto echoing = plait::spawn(echo(std::move(server)));
  std::cout << co_await ask(std::move(client), "in pieces") << '\n';
  co_await std::move(echoing);
}

int main() {
  plait::run(talk());
  plait::testing::virtual_clock clock;
  plait::run(talk_without_a_network(), {.clock = &clock});
}

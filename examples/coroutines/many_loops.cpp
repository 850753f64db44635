// One port, four event loops: each listens on it, and the kernel deals the connections out.
#include <iostream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <plait/coroutines.hpp>
#include <plait/net.hpp>

using plait::net::tcp_listener;
using plait::net::tcp_stream;

plait::task<> greet(tcp_stream client, std::size_t loop) {
  co_await client.write_all("served by loop " + std::to_string(loop));
}

plait::task<> serve(tcp_listener listener, std::size_t loop) {
  for (;;) plait::spawn(greet(co_await listener.accept(), loop));  // stays on this loop
}

plait::task<std::string> ask(std::uint16_t port) {
  auto stream = co_await tcp_stream::connect("127.0.0.1", port);
  std::string answer(100, '\0');
  answer.resize(co_await stream.read_some(answer));
  co_return answer;
}

plait::task<std::vector<std::string>> ask_often(std::uint16_t port, int times) {
  std::vector<plait::task<std::string>> questions;
  for (int i = 0; i < times; ++i) questions.push_back(ask(port));
  co_return co_await plait::gather(std::move(questions));
}

int main() {
  plait::event_loop_group group({.loops = 4});
  std::uint16_t port = 0;  // the first listener chooses it
  for (std::size_t i = 0; i < group.size(); ++i) {
    auto listener = tcp_listener::bind("127.0.0.1", port, {.reuse_port = true});
    port = listener.port();
    group.loop(i).submit(serve, std::move(listener), i);
  }

  const auto answers = plait::run(ask_often(port, 200));
  std::cout << answers.size() << " answers of " << std::set(answers.begin(), answers.end()).size()
            << " different loops\n";
}

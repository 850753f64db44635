// A group ends when all that was started in it has ended; who is quickest wins a race; a slow answer
// is done without; and a goodbye is said whatever happens.
#include <chrono>
#include <iostream>
#include <stdexcept>
#include <string>

#include <plait/coroutines.hpp>

using namespace std::chrono_literals;

plait::task<std::string> ask(std::string server, std::chrono::milliseconds delay) {
  co_await plait::sleep(delay);
  if (server == "broken") throw std::runtime_error("no route to " + server);
  co_return "answer of " + server;
}

plait::task<> collect() {
  co_await plait::with_task_group([](plait::task_group& group) -> plait::task<> {
    auto first = group.start(ask, "first", 20ms);
    auto second = group.with({.name = "second"}).start(ask, "second", 10ms);
    std::cout << co_await first << ", " << co_await second << '\n';
  });
}

plait::task<> fail() {
  try {
    co_await plait::with_task_group([](plait::task_group& group) -> plait::task<> {
      group.start(ask, "slow", 1h);  // stopped when the other one fails
      group.start(ask, "broken", 10ms);
      co_return;
    });
  } catch (const plait::exception_group& failures) {
    failures.visit<std::runtime_error>(
        [](const std::runtime_error& e) { std::cout << e.what() << '\n'; });
  }
}

plait::task<> hurry() {
  std::cout << co_await plait::race(ask("far", 1h), ask("near", 10ms)) << '\n';
  const auto answer = co_await plait::move_on_after(10ms, ask("slow", 1h));
  std::cout << answer.value_or("no answer in time") << '\n';
}

plait::task<> say_goodbye() {
  co_await plait::sleep(1ms);  // not interrupted by a stop
  std::cout << "goodbye\n";
}

plait::task<> program() {
  co_await collect();
  co_await fail();
  co_await plait::finally(hurry(), say_goodbye);
}

int main() { plait::run(program()); }

// Three commands at once, with one time limit; Ctrl-C stops them, and nothing is left behind.
#include <chrono>
#include <iostream>
#include <string>
#include <vector>

#include <plait/coroutines.hpp>
#include <plait/net.hpp>

using namespace std::chrono_literals;
namespace net = plait::net;

plait::task<std::string> report(net::command what) {
  const auto done = co_await net::run_command(what);
  co_return what.to_string() + ": " + done.status.to_string() + "\n" + done.out + done.err;
}

plait::task<> all_of_them() {
  std::vector<plait::task<std::string>> commands;
  commands.push_back(report(net::command("echo", "no shell", "reads $THIS")));
  commands.push_back(report(net::command("sort", "-n").in(net::redirect::file("/dev/null"))));
  commands.push_back(report(net::command("sh", "-c", "echo to standard error >&2; exit 3")));
  const auto reports = co_await plait::timeout(10s, plait::gather(std::move(commands)));
  for (const auto& text : reports) std::cout << text;

  try {
    co_await plait::timeout(50ms, net::run_command(net::command("sleep", "1000")));
  } catch (const plait::timeout_error&) {
    std::cout << "sleep 1000: killed after 50 ms\n";
  }
}

int main() {
  try {
    net::run_until_signal(all_of_them());
  } catch (const net::interrupted& stop) {
    return stop.exit_code();
  }
}

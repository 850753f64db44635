// A program for `plait ps` to look into. Says "ready" when everything below waits, and ends when its
// standard input does.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <thread>

#include "plait/coroutines.hpp"
#include "plait/inspect.hpp"
#include "plait/processes.hpp"
#include "plait/testing/gate.hpp"

namespace shop {

using plait::testing::gate;

void hold(const std::string& name) { gate::pass(name); }

plait::task<int> price_of(int item) {
  co_await plait::sleep(std::chrono::hours(1));
  co_return item;
}

plait::task<> fill_basket(plait::queue<int>& orders) {
  co_await plait::gather(price_of(1), price_of(2));
  co_await orders.put(0);
}

plait::task<> check_out(plait::queue<int>& orders) { co_await orders.get(); }

plait::task<> wait_for(plait::future<void> other) { co_await other; }

plait::task<> open_up(plait::thread_pool_executor& pool, std::string door) {
  plait::queue<int> orders(1);
  auto customer = plait::spawn(fill_basket(orders));
  auto cashier = plait::spawn(check_out(orders));
  auto manager = plait::spawn(wait_for(customer));
  auto visitor = plait::spawn(wait_for(customer));
  co_await pool.submit(hold, door);
  customer.cancel();
  cashier.cancel();
}

plait::task<> block(std::string door) {
  gate::pass(door);
  co_return;
}

plait::task<> await_result_of(plait::future<plait::future<void>> other) { co_await co_await other; }

plait::task<> be_patient() {
  co_await plait::timeout(std::chrono::hours(2), plait::sleep(std::chrono::hours(1)));
}

}  // namespace shop

// Runs the loop for as long as standard input is open; the tasks on it never end.
[[noreturn]] void run_until_told(plait::event_loop& loop) {
  loop.submit([] { std::puts("ready"), std::fflush(stdout); });
  std::thread([] {
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
    _exit(0);
  }).detach();
  loop.run();
  _exit(1);
}

// Two tasks that await each other; they never end, and neither does the program in good order.
[[noreturn]] void run_in_a_circle(plait::event_loop& loop) {
  plait::promise<plait::future<void>> second;
  auto first = loop.spawn(shop::await_result_of(second.get_future()));
  second.set_value(loop.spawn(shop::wait_for(first)));
  run_until_told(loop);
}

int main(int argc, char** argv) {
  const std::string_view how = argc > 1 ? argv[1] : "";
  if (how == "--circle") {
    plait::event_loop loop;
    run_in_a_circle(loop);
  }
  if (how == "--bounded") {
    plait::event_loop loop;
    const auto patient = loop.submit(shop::be_patient);
    run_until_told(loop);
  }
  plait::process_pool_executor processes(1);
  plait::thread_pool_executor pool({.max_workers = 2, .thread_name_prefix = "shop"});
  shop::gate door;
  auto held = processes.submit(shop::hold, door.name());
  plait::event_loop loop({.stall_after = std::chrono::milliseconds(how == "--blocked" ? 100 : 0)});
  auto open = how == "--blocked" ? loop.spawn(shop::block(door.name()))
                                 : loop.spawn(shop::open_up(pool, door.name()));
  std::thread thread([&] { loop.run(); });
  door.wait_for_arrival(2);
  std::puts("ready");
  std::fflush(stdout);
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  door.open(2);
  loop.shutdown();
  thread.join();
  return 0;
}

// The coroutines' rows, all on one loop on one thread.
#include <array>
#include <chrono>
#include <plait/coroutines.hpp>
#include <vector>

#include "coroutine_workloads.hpp"

namespace {

using namespace std::chrono_literals;
using measurement::arguments;
using measurement::stopwatch;
using workloads::checksum;

constexpr const char* name = "plait";

[[gnu::noinline]] plait::task<int> child(int i) { co_return i & 7; }

plait::task<> await_child(arguments given) {
  const long n = given.n_or(10'000'000);
  const stopwatch watch;
  for (long i = 0; i < n; ++i) checksum += co_await child(static_cast<int>(i));
  workloads::report_coroutines(given, name, n, watch);
}

plait::task<> spawn_join(arguments given) {
  const long n = given.n_or(5'000'000);
  auto& loop = plait::event_loop::current();
  const stopwatch watch;
  for (long i = 0; i < n; ++i) checksum += co_await loop.submit(child, static_cast<int>(i));
  workloads::report_coroutines(given, name, n, watch);
}

plait::task<> yield_often(long times) {
  for (long i = 0; i < times; ++i) {
    co_await plait::sleep(0s);
    ++checksum;
  }
}

plait::task<> switch_tasks(arguments given) {
  const long n = given.n_or(10'000'000);
  const stopwatch watch;
  co_await plait::gather(yield_often(n / 2), yield_often(n / 2));
  workloads::report_coroutines(given, name, n, watch);
}

plait::task<> sleep_one_second() {
  co_await plait::sleep(1s);
  ++checksum;
}

plait::task<> sleepers(arguments given) {
  const long n = given.n_or(1'000'000);
  const long before_kb = measurement::status_kb("VmHWM");
  const stopwatch watch;
  std::vector<plait::task<>> tasks;
  tasks.reserve(static_cast<std::size_t>(n));
  for (long i = 0; i < n; ++i) tasks.push_back(sleep_one_second());
  co_await plait::gather(std::move(tasks));
  workloads::report_sleepers(given, name, n, watch, before_kb);
}

plait::task<> use_semaphore(plait::semaphore& semaphore, long times) {
  for (long i = 0; i < times; ++i) {
    const auto permit = co_await semaphore.acquire();
    co_await plait::sleep(0s);
    ++checksum;
  }
}

plait::task<> contended_semaphore(arguments given) {
  const long n = given.n_or(3'000'000);
  plait::semaphore permits{workloads::semaphore_permits};
  const stopwatch watch;
  std::vector<plait::task<>> tasks;
  for (int i = 0; i < workloads::semaphore_tasks; ++i)
    tasks.push_back(use_semaphore(permits, n / workloads::semaphore_tasks));
  co_await plait::gather(std::move(tasks));
  workloads::report_coroutines(given, name, n, watch);
}

plait::task<> consume(plait::queue<int>& queue) {
  for (;;) {
    const int item = co_await queue.get();
    if (item == workloads::end_of_items) co_return;
    checksum += item & 1;
  }
}

plait::task<> produce(plait::queue<int>& queue, long n) {
  for (long i = 0; i < n; ++i) co_await queue.put(static_cast<int>(i & 0xffff));
  for (int i = 0; i < workloads::queue_consumers; ++i) co_await queue.put(workloads::end_of_items);
}

plait::task<> bounded_queue(arguments given) {
  const long n = given.n_or(10'000'000);
  plait::queue<int> queue{workloads::queue_capacity};
  const stopwatch watch;
  std::vector<plait::task<>> tasks;
  for (int i = 0; i < workloads::queue_consumers; ++i) tasks.push_back(consume(queue));
  tasks.push_back(produce(queue, n));
  co_await plait::gather(std::move(tasks));
  workloads::report_coroutines(given, name, n, watch);
}

// What every sleep, timeout and deadline rests on, against the loop's own time.
struct unexpected final : plait::detail::timer {
  void expired() noexcept override { std::abort(); }
};

plait::task<> timers(arguments given) {
  const long n = given.n_or(5'000'000);
  auto& loop = plait::event_loop::current();
  std::array<unexpected, workloads::timers_alive> alive;
  const stopwatch watch;
  for (long i = 0; i < n; ++i) {
    auto& oldest = alive[static_cast<std::size_t>(i % workloads::timers_alive)];
    oldest.disarm();
    oldest.arm(loop, loop.now() + std::chrono::milliseconds{workloads::timer_delay_ms(i)});
  }
  workloads::report_coroutines(given, name, n, watch);
  co_return;
}

template <plait::task<> (*mode)(arguments)>
void on_a_loop(const arguments& given) {
  plait::run(mode(given));
}

}  // namespace

int main(int argc, char** argv) {
  return measurement::run_mode(argc, argv,
                               {{"await_child", on_a_loop<await_child>},
                                {"spawn_join", on_a_loop<spawn_join>},
                                {"switch", on_a_loop<switch_tasks>},
                                {"sleepers", on_a_loop<sleepers>},
                                {"sem", on_a_loop<contended_semaphore>},
                                {"chan", on_a_loop<bounded_queue>},
                                {"timers", on_a_loop<timers>}});
}

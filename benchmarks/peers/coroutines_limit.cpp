// Hand-written limits for the coroutines' rows, on the loop in raw_loop.hpp.
#include "../coroutine_workloads.hpp"
#include "raw_loop.hpp"
#include "raw_timer_wheel.hpp"

namespace {

using measurement::stopwatch;
using workloads::checksum;

constexpr const char* name = "raw_loop";
raw::loop home;

[[gnu::noinline]] raw::task<int> child(int i) { co_return i & 7; }

void await_child(const measurement::arguments& given) {
  [](const measurement::arguments& arguments) -> raw::detached {
    const long n = arguments.n_or(10'000'000);
    const stopwatch watch;
    for (long i = 0; i < n; ++i) checksum += co_await child(static_cast<int>(i));
    workloads::report_coroutines(arguments, name, n, watch);
  }(given);
}

struct join : raw::waiter {
  bool await_ready() { return false; }
  void await_suspend(std::coroutine_handle<> suspended) { handle = suspended; }
  void await_resume() {}
};

raw::detached spawned(join& joined, int i) {
  co_await home.yield();
  checksum += i & 7;
  home.resume_later(joined.handle);
}

void spawn_join(const measurement::arguments& given) {
  [](const measurement::arguments& arguments) -> raw::detached {
    const long n = arguments.n_or(5'000'000);
    const stopwatch watch;
    for (long i = 0; i < n; ++i) {
      join joined;
      spawned(joined, static_cast<int>(i));
      co_await joined;
    }
    workloads::report_coroutines(arguments, name, n, watch);
  }(given);
  home.run();
}

raw::detached yield_often(long times) {
  for (long i = 0; i < times; ++i) {
    co_await home.yield();
    ++checksum;
  }
}

void switch_tasks(const measurement::arguments& given) {
  const long n = given.n_or(10'000'000);
  const stopwatch watch;
  yield_often(n / 2);
  yield_often(n / 2);
  home.run();
  workloads::report_coroutines(given, name, n, watch);
}

raw::detached sleep_one_second() {
  co_await home.yield();
  co_await home.sleep_ns(1'000'000'000);
  ++checksum;
}

void sleepers(const measurement::arguments& given) {
  const long n = given.n_or(1'000'000);
  const long before_kb = measurement::status_kb("VmHWM");
  const stopwatch watch;
  for (long i = 0; i < n; ++i) sleep_one_second();
  home.run();
  workloads::report_sleepers(given, name, n, watch, before_kb);
}

raw::detached use_semaphore(raw::semaphore& semaphore, long times) {
  for (long i = 0; i < times; ++i) {
    co_await semaphore.acquire();
    co_await home.yield();
    ++checksum;
    semaphore.release();
  }
}

void semaphore(const measurement::arguments& given) {
  const long n = given.n_or(3'000'000);
  raw::semaphore permits{home, workloads::semaphore_permits};
  const stopwatch watch;
  for (int i = 0; i < workloads::semaphore_tasks; ++i)
    use_semaphore(permits, n / workloads::semaphore_tasks);
  home.run();
  workloads::report_coroutines(given, name, n, watch);
}

raw::detached consume(raw::queue& queue) {
  for (;;) {
    const int item = co_await queue.get();
    if (item == workloads::end_of_items) co_return;
    checksum += item & 1;
  }
}

raw::detached produce(raw::queue& queue, long n) {
  for (long i = 0; i < n; ++i) co_await queue.put(static_cast<int>(i & 0xffff));
  for (int i = 0; i < workloads::queue_consumers; ++i) co_await queue.put(workloads::end_of_items);
}

void bounded_queue(const measurement::arguments& given) {
  const long n = given.n_or(10'000'000);
  raw::queue queue{home, workloads::queue_capacity};
  const stopwatch watch;
  for (int i = 0; i < workloads::queue_consumers; ++i) consume(queue);
  produce(queue, n);
  home.run();
  workloads::report_coroutines(given, name, n, watch);
}

void timers(const measurement::arguments& given) {
  const long n = given.n_or(5'000'000);
  const std::int64_t cached_now_ms = raw::now_ns() / 1'000'000;
  raw::timer_wheel wheel{cached_now_ms};
  raw::timer alive[workloads::timers_alive];
  const stopwatch watch;
  for (long i = 0; i < n; ++i) {
    raw::timer& oldest = alive[i % workloads::timers_alive];
    if (oldest.next != nullptr) raw::timer_wheel::cancel(oldest);
    oldest.due_ms = cached_now_ms + workloads::timer_delay_ms(i);
    wheel.set(oldest);
  }
  workloads::report_coroutines(given, "raw_timer_wheel", n, watch);
}

}  // namespace

int main(int argc, char** argv) {
  return measurement::run_mode(argc, argv,
                               {{"await_child", await_child},
                                {"spawn_join", spawn_join},
                                {"switch", switch_tasks},
                                {"sleepers", sleepers},
                                {"sem", semaphore},
                                {"chan", bounded_queue},
                                {"timers", timers}});
}

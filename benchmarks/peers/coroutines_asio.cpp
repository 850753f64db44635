// Boost.Asio for the coroutines' rows. A channel stands for the semaphore, which Asio does not
// have.
#include <utility>  // Boost's awaitable.hpp forgets it

#include <boost/asio.hpp>
#if __has_include(<boost/asio/experimental/channel.hpp>)  // since Boost 1.78
#include <boost/asio/experimental/channel.hpp>
#define HAS_CHANNEL
#endif
#include <chrono>
#include <memory>

#include "../coroutine_workloads.hpp"

namespace {

namespace asio = boost::asio;
using asio::awaitable;
using asio::detached;
using asio::use_awaitable;
using boost::system::error_code;
using measurement::stopwatch;
using workloads::checksum;

constexpr const char* name = "asio";

[[gnu::noinline]] awaitable<int> child(int i) { co_return i & 7; }

void await_child(const measurement::arguments& given) {
  asio::io_context io{1};
  const auto body = [&]() -> awaitable<void> {
    const long n = given.n_or(5'000'000);
    const stopwatch watch;
    for (long i = 0; i < n; ++i) checksum += co_await child(static_cast<int>(i));
    workloads::report_coroutines(given, name, n, watch);
  };
  asio::co_spawn(io, body, detached);
  io.run();
}

void spawn_join(const measurement::arguments& given) {
  asio::io_context io{1};
  const auto body = [&]() -> awaitable<void> {
    const long n = given.n_or(1'000'000);
    const stopwatch watch;
    for (long i = 0; i < n; ++i)
      checksum += co_await asio::co_spawn(io, child(static_cast<int>(i)), use_awaitable);
    workloads::report_coroutines(given, name, n, watch);
  };
  asio::co_spawn(io, body, detached);
  io.run();
}

void switch_tasks(const measurement::arguments& given) {
  asio::io_context io{1};
  const long n = given.n_or(5'000'000);
  const auto yield_often = [&]() -> awaitable<void> {
    for (long i = 0; i < n / 2; ++i) {
      co_await asio::post(io, use_awaitable);
      ++checksum;
    }
  };
  const stopwatch watch;
  asio::co_spawn(io, yield_often, detached);
  asio::co_spawn(io, yield_often, detached);
  io.run();
  workloads::report_coroutines(given, name, n, watch);
}

void sleepers(const measurement::arguments& given) {
  asio::io_context io{1};
  const long n = given.n_or(1'000'000);
  const auto sleep_one_second = [&]() -> awaitable<void> {
    asio::steady_timer timer{io, std::chrono::seconds{1}};
    co_await timer.async_wait(use_awaitable);
    ++checksum;
  };
  const long before_kb = measurement::status_kb("VmHWM");
  const stopwatch watch;
  for (long i = 0; i < n; ++i) asio::co_spawn(io, sleep_one_second, detached);
  io.run();
  workloads::report_sleepers(given, name, n, watch, before_kb);
}

#ifdef HAS_CHANNEL
using channel = asio::experimental::channel<void(error_code, int)>;

void semaphore(const measurement::arguments& given) {
  asio::io_context io{1};
  const long n = given.n_or(1'000'000);
  channel permits{io, workloads::semaphore_permits};
  for (int i = 0; i < workloads::semaphore_permits; ++i) permits.try_send(error_code{}, 0);
  const auto use_permits = [&]() -> awaitable<void> {
    for (long i = 0; i < n / workloads::semaphore_tasks; ++i) {
      co_await permits.async_receive(use_awaitable);
      co_await asio::post(io, use_awaitable);
      ++checksum;
      permits.try_send(error_code{}, 0);
    }
  };
  const stopwatch watch;
  for (int i = 0; i < workloads::semaphore_tasks; ++i) asio::co_spawn(io, use_permits, detached);
  io.run();
  workloads::report_coroutines(given, name, n, watch);
}

void bounded_queue(const measurement::arguments& given) {
  asio::io_context io{1};
  const long n = given.n_or(2'000'000);
  channel items{io, workloads::queue_capacity};
  const auto consume = [&]() -> awaitable<void> {
    for (;;) {
      const int item = co_await items.async_receive(use_awaitable);
      if (item == workloads::end_of_items) co_return;
      checksum += item & 1;
    }
  };
  const auto produce = [&]() -> awaitable<void> {
    for (long i = 0; i < n; ++i)
      co_await items.async_send(error_code{}, static_cast<int>(i & 0xffff), use_awaitable);
    for (int i = 0; i < workloads::queue_consumers; ++i)
      co_await items.async_send(error_code{}, workloads::end_of_items, use_awaitable);
  };
  const stopwatch watch;
  for (int i = 0; i < workloads::queue_consumers; ++i) asio::co_spawn(io, consume, detached);
  asio::co_spawn(io, produce, detached);
  io.run();
  workloads::report_coroutines(given, name, n, watch);
}

#endif

void timers(const measurement::arguments& given) {
  asio::io_context io{1};
  const long n = given.n_or(2'000'000);
  std::unique_ptr<asio::steady_timer> alive[workloads::timers_alive];
  long cancelled = 0;
  const stopwatch watch;
  for (long i = 0; i < n; ++i) {
    auto& oldest = alive[i % workloads::timers_alive];
    oldest = std::make_unique<asio::steady_timer>(
        io, std::chrono::milliseconds{workloads::timer_delay_ms(i)});
    oldest->async_wait([&](error_code) { ++cancelled; });
    if (i % workloads::timers_alive == workloads::timers_alive - 1) {
      io.poll();  // delivers the cancellations
      io.restart();
    }
  }
  workloads::report_coroutines(given, name, n, watch);
}

}  // namespace

int main(int argc, char** argv) {
  return measurement::run_mode(argc, argv,
                               {{"await_child", await_child},
                                {"spawn_join", spawn_join},
                                {"switch", switch_tasks},
                                {"sleepers", sleepers},
#ifdef HAS_CHANNEL
                                {"sem", semaphore},
                                {"chan", bounded_queue},
#endif
                                {"timers", timers}});
}

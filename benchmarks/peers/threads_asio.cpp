// Boost.Asio's thread_pool for the thread pool's rows, with std::packaged_task for the futures.
#include <utility>  // Boost's awaitable.hpp forgets it

#include <boost/asio.hpp>
#include <future>

#include "../thread_workloads.hpp"

namespace {

namespace asio = boost::asio;

asio::thread_pool pool_of(int workers) {
  return asio::thread_pool{static_cast<std::size_t>(workers)};
}

void submit_get(const measurement::arguments& given) {
  auto pool = pool_of(given.workers);
  workloads::submit_then_get(
      given, "asio_packaged_task",
      [&](int i) { return asio::post(pool, std::packaged_task<int()>([i] { return i; })); },
      [](std::future<int>& pending) { return pending.get(); });
}

void primes(const measurement::arguments& given) {
  auto pool = pool_of(given.workers);
  workloads::primes_speed_up(given, "asio_packaged_task", [&](const auto& numbers) {
    std::vector<std::future<bool>> futures;
    for (const auto x : numbers)
      futures.push_back(
          asio::post(pool, std::packaged_task<bool()>([x] { return workloads::is_prime(x); })));
    long found = 0;
    for (auto& pending : futures) found += pending.get();
    return found;
  });
}

void idle(const measurement::arguments& given) {
  auto pool = pool_of(given.workers);
  asio::post(pool, std::packaged_task<int()>([] { return 1; })).get();
  workloads::idle_cpu(given, "asio");
}

}  // namespace

int main(int argc, char** argv) {
  measurement::keep_freed_memory();
  return measurement::run_mode(argc, argv,
                               {{"submit_get", submit_get}, {"primes", primes}, {"idle", idle}});
}

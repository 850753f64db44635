// The thread pool's rows: submit + get, fork-join, the article's primes, an idle pool.
#include <algorithm>
#include <plait/threads.hpp>
#include <vector>

#include "thread_workloads.hpp"

namespace {

constexpr const char* name = "plait";

void submit_get(const measurement::arguments& given) {
  plait::thread_pool_executor pool{given.workers};
  workloads::submit_then_get(
      given, name, [&](int i) { return pool.submit([i] { return i; }); },
      [](plait::future<int>& pending) { return pending.get(); });
}

long fib(plait::thread_pool_executor* pool, long n) {
  if (n < 2) return n;
  auto forked = pool->submit(fib, pool, n - 1);
  const long rest = fib(pool, n - 2);
  return forked.get() + rest;
}

void fork_join(const measurement::arguments& given) {
  plait::thread_pool_executor pool{given.workers};
  workloads::fork_join(given, name, [&](long n) { return pool.submit(fib, &pool, n).get(); });
}

void primes(const measurement::arguments& given) {
  plait::thread_pool_executor pool{given.workers};
  workloads::primes_speed_up(given, name, [&](const auto& numbers) {
    const std::vector<bool> found = pool.map(workloads::is_prime, numbers).to_vector();
    return std::count(found.begin(), found.end(), true);
  });
}

void idle(const measurement::arguments& given) {
  plait::thread_pool_executor pool{given.workers};
  std::vector<int> items(1000);
  pool.map([](int x) { return x; }, items).to_vector();
  workloads::idle_cpu(given, name);
}

}  // namespace

int main(int argc, char** argv) {
  measurement::keep_freed_memory();
  return measurement::run_mode(
      argc, argv,
      {{"submit_get", submit_get}, {"fork_join", fork_join}, {"primes", primes}, {"idle", idle}});
}

// oneTBB for the thread pool's rows. It has no futures: a task writes to its slot, the group waits.
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/parallel_invoke.h>
#include <tbb/task_group.h>

#include <atomic>

#include "../thread_workloads.hpp"

namespace {

tbb::global_control limit_to(int workers) {
  return {tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(workers)};
}

void submit_get(const measurement::arguments& given) {
  const auto limit = limit_to(given.workers);
  const long n = given.n_or(1'000'000);
  tbb::task_group group;
  long sum = 0;
  const measurement::lap best = measurement::best_of(given.repeats, [&] {
    std::vector<int> slots(static_cast<std::size_t>(n));
    const measurement::stopwatch watch;
    for (long i = 0; i < n; ++i)
      group.run(
          [slot = &slots[static_cast<std::size_t>(i)], i] { *slot = static_cast<int>(i & 7); });
    group.wait();
    for (const int value : slots) sum += value;
    return watch.read();
  });
  measurement::report(given.mode, "tbb_task_group", static_cast<double>(n), best,
                      {{"sum", static_cast<double>(sum)}});
}

long fib(long n) {
  if (n < 2) return n;
  long forked = 0;
  long rest = 0;
  tbb::parallel_invoke([&] { forked = fib(n - 1); }, [&] { rest = fib(n - 2); });
  return forked + rest;
}

void fork_join(const measurement::arguments& given) {
  const auto limit = limit_to(given.workers);
  workloads::fork_join(given, "tbb_parallel_invoke", fib);
}

void primes(const measurement::arguments& given) {
  const auto limit = limit_to(given.workers);
  workloads::primes_speed_up(given, "tbb_parallel_for", [](const auto& numbers) {
    std::atomic<long> found{0};
    tbb::parallel_for(std::size_t{0}, numbers.size(),
                      [&](std::size_t i) { found += workloads::is_prime(numbers[i]); });
    return found.load();
  });
}

void idle(const measurement::arguments& given) {
  const auto limit = limit_to(given.workers);
  std::atomic<int> calls{0};
  tbb::parallel_for(0, 1000, [&](int) { ++calls; });
  workloads::idle_cpu(given, "tbb");
}

}  // namespace

int main(int argc, char** argv) {
  measurement::keep_freed_memory();
  return measurement::run_mode(
      argc, argv,
      {{"submit_get", submit_get}, {"fork_join", fork_join}, {"primes", primes}, {"idle", idle}});
}

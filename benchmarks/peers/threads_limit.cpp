// Hand-written limits for the thread pool's rows: what remains when there is no library.
#include "../thread_workloads.hpp"
#include "chase_lev.hpp"
#include "ring_pool.hpp"

namespace {

void submit_get(const measurement::arguments& given) {
  const long n = given.n_or(1'000'000);
  ring_pool pool{given.workers, n};
  long sum = 0;
  const measurement::lap best = measurement::best_of(given.repeats, [&] {
    pool.reset();
    const measurement::stopwatch watch;
    for (long i = 0; i < n; ++i) pool.submit([](long a) { return static_cast<int>(a); }, i & 7);
    pool.publish();
    for (long i = 0; i < n; ++i) sum += pool.get(i);
    return watch.read();
  });
  measurement::report(given.mode, "ring_pool", static_cast<double>(n), best,
                      {{"sum", static_cast<double>(sum)}});
}

chase_lev::scheduler* fibs = nullptr;

struct fib_job : chase_lev::job {
  long n = 0;
  long value = 0;
};

long fib(long n) {
  if (n < 2) return n;
  fib_job forked;
  forked.n = n - 1;
  forked.run = [](chase_lev::job* base) {
    auto* stolen = static_cast<fib_job*>(base);
    stolen->value = fib(stolen->n);
    stolen->done.store(true, std::memory_order_release);
  };
  fibs->mine().push(&forked);
  const long rest = fib(n - 2);
  if (fibs->mine().pop() != nullptr) return fib(n - 1) + rest;  // nobody took it: run it in place
  while (!forked.done.load(std::memory_order_acquire)) fibs->help();
  return forked.value + rest;
}

void fork_join(const measurement::arguments& given) {
  workloads::fork_join(given, "chase_lev", [&](long n) {
    chase_lev::scheduler scheduler{given.workers};
    fibs = &scheduler;
    return fib(n);
  });
}

void primes(const measurement::arguments& given) {
  workloads::primes_speed_up(given, "atomic_counter", [&](const auto& numbers) {
    std::atomic<std::size_t> next{0};
    std::atomic<long> found{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < given.workers; ++i)
      threads.emplace_back([&] {
        for (std::size_t k; (k = next++) < numbers.size();)
          found += workloads::is_prime(numbers[k]);
      });
    for (auto& thread : threads) thread.join();
    return found.load();
  });
}

}  // namespace

int main(int argc, char** argv) {
  measurement::keep_freed_memory();
  return measurement::run_mode(
      argc, argv, {{"submit_get", submit_get}, {"fork_join", fork_join}, {"primes", primes}});
}

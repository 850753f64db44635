// A program that is linked in every way that there is, by CMakeLists.txt: a pool works in each, with
// each start method.
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "plait/processes.hpp"

// With a static C library the program has to call run_worker_if_requested(); elsewhere nobody does.
extern "C" [[gnu::weak]] void before_all();

namespace {

using plait::start_method;

int twice(int n) { return 2 * n; }
int crash() { return raise(SIGSEGV); }

bool works(start_method start) {
  plait::process_pool_executor pool{{.max_workers = 2, .start = start}};
  if (pool.submit(twice, 21).get() != 42) return false;
  long (*const of_a_library)(long) = std::labs;
  if (pool.submit(of_a_library, -5).get() != 5) return false;
  try {
    pool.submit(crash).get();
    return false;
  } catch (const plait::worker_crashed& e) {
    if (e.signal() != SIGSEGV || e.frames().empty()) return false;
  }
  return pool.submit([](int a, int b) { return a - b; }, 5, 3).get() == 2;
}

}  // namespace

int main() {
  if (before_all != nullptr) before_all();
  for (const auto start : {start_method::forkserver, start_method::spawn, start_method::fork}) {
    if (works(start)) continue;
    std::printf("start method %d does not work\n", static_cast<int>(start));
    return 1;
  }
  std::puts("ok");
}

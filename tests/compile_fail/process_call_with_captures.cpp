// What a lambda captured stays in this process; the compiler says so, and what to do instead.
#include <plait/processes.hpp>

plait::future<int> ask(plait::process_pool_executor& pool, int n) {
#ifdef FAULT
  return pool.submit([n] { return 2 * n; });
#else
  return pool.submit([](int m) { return 2 * m; }, n);
#endif
}

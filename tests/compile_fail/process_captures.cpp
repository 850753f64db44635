// Captures stay in the process that made them.
#include <plait/processes.hpp>

int main() {
  plait::process_pool_executor pool{1};
  int offset = 3;
#ifdef FAULT
  return pool.submit([offset](int n) { return n + offset; }, 4).get();
#else
  return pool.submit([](int n, int by) { return n + by; }, 4, offset).get();
#endif
}

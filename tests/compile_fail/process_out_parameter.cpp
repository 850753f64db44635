// Another process cannot write to our variable.
#include <plait/processes.hpp>

void increment(int& n) { ++n; }
int incremented(int n) { return n + 1; }

int main() {
  plait::process_pool_executor pool{1};
  int n = 1;
#ifdef FAULT
  pool.submit(increment, n).get();
  return n;
#else
  return pool.submit(incremented, n).get();
#endif
}

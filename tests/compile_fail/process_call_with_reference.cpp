// Another process cannot write to a variable of this one.
#include <plait/processes.hpp>

void doubles(int& n) { n *= 2; }
int doubled(int n) { return 2 * n; }

void ask(plait::process_pool_executor& pool, int n) {
#ifdef FAULT
  pool.submit(doubles, n);
#else
  pool.submit(doubled, n).get();
#endif
}

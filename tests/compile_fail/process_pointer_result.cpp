// A result is copied back: an address would be one of the worker's.
#include <plait/processes.hpp>

int table[3] = {1, 2, 3};
int* entry(int i) { return &table[i]; }
int entry_value(int i) { return table[i]; }

int main() {
  plait::process_pool_executor pool{1};
#ifdef FAULT
  return *pool.submit(entry, 1).get();
#else
  return pool.submit(entry_value, 1).get();
#endif
}

// A pointer means nothing in another address space.
#include <plait/processes.hpp>

#include <vector>

int first(const int* numbers) { return *numbers; }
int first_of(const std::vector<int>& numbers) { return numbers.front(); }

plait::future<int> ask(plait::process_pool_executor& pool, const std::vector<int>& numbers) {
#ifdef FAULT
  return pool.submit(first, numbers.data());
#else
  return pool.submit(first_of, numbers);
#endif
}

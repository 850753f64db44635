// A pointer means nothing in another process.
#include <plait/processes.hpp>

int first(const int* numbers) { return *numbers; }
int first_of(const std::vector<int>& numbers) { return numbers.front(); }

int main() {
  plait::process_pool_executor pool{1};
  const std::vector<int> numbers{1, 2};
#ifdef FAULT
  return pool.submit(first, numbers.data()).get();
#else
  return pool.submit(first_of, numbers).get();
#endif
}

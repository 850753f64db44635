// map() gives results; a function without one is refused with what to do instead.
#include <plait/core/executor.hpp>

#include <vector>

void prints(int) {}
int doubles(int n) { return 2 * n; }

void ask(plait::local_executor& engine, std::vector<int>& items) {
#ifdef FAULT
  engine.map(prints, items);
#else
  engine.map(doubles, items).to_vector();
#endif
}

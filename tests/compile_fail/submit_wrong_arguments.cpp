// submit() takes what the callable takes; a mismatch is told in one sentence, at the call.
#include <plait/core/executor.hpp>

int half(int n) { return n / 2; }

plait::future<int> ask(plait::local_executor& engine) {
#ifdef FAULT
  return engine.submit(half, "forty-two");
#else
  return engine.submit(half, 42);
#endif
}

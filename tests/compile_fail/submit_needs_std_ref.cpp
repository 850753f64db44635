// Arguments are copied into the call, as std::thread does; a reference has to be asked for.
#include <plait/core/executor.hpp>

#include <functional>

void count(int& calls) { ++calls; }

plait::future<void> ask(plait::local_executor& engine, int& calls) {
#ifdef FAULT
  return engine.submit(count, calls);
#else
  return engine.submit(count, std::ref(calls));
#endif
}

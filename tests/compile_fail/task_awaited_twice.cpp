// A task is awaited once, so it is awaited as an rvalue; what it was is then gone.
#include <plait/coroutines/task.hpp>

plait::task<int> answer() { co_return 42; }

plait::task<int> twice() {
  auto once = answer();
#ifdef FAULT
  co_return co_await once;
#else
  co_return co_await std::move(once);
#endif
}

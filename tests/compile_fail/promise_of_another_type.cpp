// A promise takes values of its own type only.
#include <plait/core/future.hpp>

void fulfil(plait::promise<int>& promise) {
#ifdef FAULT
  promise.set_value("forty-two");
#else
  promise.set_value(42);
#endif
}

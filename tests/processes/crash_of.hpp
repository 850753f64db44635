// tests/processes/crash_of.hpp: calls that are meant to crash, and what their futures say of it.
#pragma once

#include <sys/resource.h>

#include <stdexcept>

#include "plait/processes.hpp"

// For a pool's initializer.
inline void no_core_files() {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
}

inline plait::worker_crashed crash_of(plait::future<int> f) {
  try {
    f.get();
  } catch (const plait::worker_crashed& e) {
    return e;
  }
  throw std::logic_error("the call did not crash");
}

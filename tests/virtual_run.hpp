// tests/virtual_run.hpp: a program of tasks, run to its end in virtual time.
#pragma once

#include <chrono>
#include <type_traits>
#include <utility>

#include "plait/coroutines.hpp"
#include "plait/testing/virtual_clock.hpp"

// Runs the coroutine function `program`, which lives as long as its task does.
template <class F>
auto virtual_run(F program) {
  plait::testing::virtual_clock clock;
  return plait::run(program(), {.clock = &clock});
}

// The virtual time now, on the loop that runs on this thread.
inline plait::time_point virtual_now() { return plait::event_loop::current().now(); }

// Awaits, and tells whether that threw an Error; other exceptions go through.
template <class Error, class Awaitable>
plait::task<bool> throws(Awaitable awaitable) {
  try {
    static_cast<void>(co_await std::move(awaitable));
  } catch (const Error&) {
    co_return true;
  }
  co_return false;
}

// Lets everything run that is ready now, and what that makes ready, and so on a few times.
inline plait::task<> let_others_run() {
  for (int i = 0; i < 10; ++i) co_await plait::sleep(plait::duration::zero());
}

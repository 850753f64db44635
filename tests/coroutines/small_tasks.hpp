// tests/coroutines/small_tasks.hpp: the operands of most tests: one that ends, fails, or waits.
#pragma once

#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>

#include "plait/coroutines.hpp"

// A value less than zero is thrown, as the message of a runtime_error.
inline plait::task<int> after(plait::duration span, int value) {
  co_await plait::sleep(span);
  if (value < 0) throw std::runtime_error(std::to_string(value));
  co_return value;
}

inline plait::task<int> fail_after(plait::duration span, std::string what) {
  co_await plait::sleep(span);
  throw std::runtime_error(what);
}

// Sleeps for ever; counts that it was stopped.
inline plait::task<int> until_stopped(int& stopped) {
  try {
    co_await plait::sleep(std::chrono::hours(24 * 365));
  } catch (const plait::cancelled_error&) {
    ++stopped;
    throw;
  }
  co_return 0;
}

// The messages of the failures that `scope` throws as a group, joined; "cancelled" if it is.
template <class Scope>
plait::task<std::string> failures_of(Scope scope) {
  std::string messages;
  try {
    co_await std::move(scope);
  } catch (const plait::exception_group& group) {
    group.visit<std::exception>([&](const std::exception& e) {
      messages += (messages.empty() ? "" : ", ") + std::string(e.what());
    });
  } catch (const plait::cancelled_error&) {
    messages = "cancelled";
  }
  co_return messages;
}

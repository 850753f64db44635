#include "celery/wall_clock.hpp"

#include <chrono>

#include "plait/coroutines/event_loop.hpp"

namespace plait::celery::detail {

namespace {

std::chrono::nanoseconds since_epoch() {
  const auto* loop = event_loop::current_or_null();
  if (loop != nullptr && &loop->clock() != &clock::real()) return loop->now().time_since_epoch();
  return std::chrono::system_clock::now().time_since_epoch();
}

}  // namespace

std::int64_t wall_clock_now() {
  return std::chrono::floor<std::chrono::milliseconds>(since_epoch()).count();
}

std::int64_t wall_clock_microseconds() {
  return std::chrono::ceil<std::chrono::microseconds>(since_epoch()).count();
}

}  // namespace plait::celery::detail

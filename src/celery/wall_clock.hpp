// celery/wall_clock.hpp: the time of day as messages tell it, by the loop's clock.
#pragma once

#include <cstdint>

namespace plait::celery::detail {

// Milliseconds since 1970. On a loop with a clock of its own, as in tests: since that clock's epoch.
std::int64_t wall_clock_now();

// The same in microseconds, which is what a date on the wire can tell, rounded up.
std::int64_t wall_clock_microseconds();

}  // namespace plait::celery::detail

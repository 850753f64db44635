// celery/rate_limits.hpp: how often calls of a task may begin in a worker.
//
// A turn is a moment: each call of a limited task takes the next one, 1/rate behind the one before,
// and waits for it. Nothing is saved up while there are no calls, as in Celery.
//
// Threads:  the worker's loop.
// Source:   celery/utils/time.py, rate(); kombu/utils/limits.py, TokenBucket with a capacity of 1.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "plait/core/clock.hpp"

namespace plait::celery::detail {

// The time between two of "100", "100/s", "10/m", "0.5/h"; zero for "", "0" and "none": no limit. Throws
// std::invalid_argument for what is none of these.
duration time_between(std::string_view rate);

class rate_limits {
 public:
  void set(const std::string& task, duration between);
  // When a call of this task that wants to begin now may; takes the turn.
  time_point next_turn(const std::string& task, time_point now);

 private:
  struct limit {
    duration between;
    time_point next{};
  };
  std::map<std::string, limit> limits_;
};

}  // namespace plait::celery::detail

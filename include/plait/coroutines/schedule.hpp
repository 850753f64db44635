// plait/coroutines/schedule.hpp: who decides what an event loop runs next, where it has a choice.
//
// A loop runs what is ready in the order in which it became ready. A program must not depend on
// that further than it was promised: a loop with a schedule asks it instead, and so a test can put
// a program through many orders (testing::shuffled_schedule).
//
// A choice is one among the jobs that are ready, and among the timers that are due together. What
// plait promises holds under every schedule: queues are first in, first out, semaphores and locks
// are fair, timers fire in order of deadline, and a sleep of zero lets all that was ready go first.
//
// Threads:  the loop's thread only.
// Cost:     without a schedule: one predictable branch in up to 256 jobs.
#pragma once

#include <cstddef>

namespace plait {

class schedule {
 public:
  // Which of `count` things happens next, in [0, count); 0 is what has waited longest. Asked only
  // where there is a choice: count is 2 or more.
  virtual std::size_t choose(std::size_t count) noexcept = 0;

 protected:
  ~schedule() = default;
};

}  // namespace plait

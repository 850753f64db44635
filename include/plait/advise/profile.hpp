// plait/advise/profile.hpp: what a piece of work is made of: computing, waiting, and how much of it.
//
//   plait::work_profile fetch{.waits = {.network = 100ms}, .calls = 5000};
//   fetch.cpu = 64us;
//
// Measured by whoever can: `plait compare` by running the work, `plait advise` from outside.
#pragma once

#include <cstddef>

#include "plait/core/clock.hpp"

namespace plait {

// How work may be run. keep: as it is, because nothing here would make it faster.
enum class execution_model { threads, event_loop, processes, pipeline, background_tasks, keep };
// "threads", "event loop", ...
const char* to_text(execution_model model) noexcept;

// Of one call, on average. The last two are waits of calls for one another, which more of them at
// once make longer instead of filling them.
struct waiting_time {
  duration network{}, disk{}, sleep{}, children{}, locks{}, interpreter_lock{};

  // For something that is no call of the program.
  duration outside() const noexcept { return network + disk + sleep + children; }
};

struct work_profile {
  duration cpu{};  // that one call computes
  waiting_time waits = {};
  std::size_t calls = 0;    // how many there are to do; 0: not known
  std::size_t at_once = 0;  // how many of them may be under way together; 0: all of them
  // CPython lets one thread of a process run at a time; native code has no such lock.
  enum class language { native, python } written_in = language::native;
  // A call that may crash, leak or never end takes only its own process with it.
  enum class isolation { none, wanted } calls_are = isolation::none;
  enum class lifetime {
    of_the_request,
    beyond_the_request
  } result_is_wanted = lifetime::of_the_request;
  // How it runs today. keep: one call after another, or on `width` threads.
  struct today {
    execution_model model = execution_model::keep;
    std::size_t width = 1;
  } now = {};
  std::size_t cores = 0;  // that it may use; 0: usable_cpu_count()
};

}  // namespace plait

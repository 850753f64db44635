// plait/coroutines/current_task.hpp: what a task knows of itself.
//
//   auto answer = plait::spawn(fetch(url), {.name = url});
//   log("{}: connected", plait::current_task().name());    // anywhere in what the task runs
//
// Threads:  asks for the task that runs on the calling thread, at this moment.
// Throws:   invalid_state outside tasks.
// Cost:     two loads; a name costs one allocation for the task that has it.
#pragma once

#include <string>
#include <string_view>

#include "plait/coroutines/context.hpp"

namespace plait {

// For immediate use: valid as long as the task runs.
class current_task {
 public:
  current_task();

  // Its own name, else that of the nearest task above that waits for it, else "".
  std::string_view name() const noexcept { return flow_.name(); }
  // Of this flow alone: what runs inside a timeout, gather or group has a name of its own.
  void set_name(std::string_view name) { flow_.set_name(name); }
  // Where it was spawned: "in FUNCTION (FILE+0xOFFSET)".
  std::string spawned_at() const;
  // True once a stop was asked of it: its next await will throw.
  bool stopping() const noexcept { return flow_.stopping(); }

 private:
  detail::context& flow_;
};

}  // namespace plait

// src/net/launch.hpp: from a command to a process that runs it.
#pragma once

#include <string>

#include "net/owned_descriptor.hpp"
#include "plait/net/command.hpp"

namespace plait::net::detail {

struct launch {
  // The child, and our ends of its pipes. Throws spawn_error.
  static launch of(const command& what);
  // The command with the streams that it leaves open redirected for run_command.
  static void collect_streams(command& what, bool has_input);

  int pid = -1;
  bool leads_group = false;
  owned_descriptor in, out, err;

 private:
  struct plan;
};

}  // namespace plait::net::detail

// A worker's whole life: it takes calls from its channel, in order, until it is told to leave.
#pragma once

#include <cstdint>

#include "processes/channel.hpp"
#include "processes/descriptor.hpp"
#include "processes/worker_profile.hpp"

namespace plait::detail {

struct worker_setup {
  channel* shared;
  pool_page* pool;
  int doorbell;
  descriptor socket;  // for large messages
  worker_profile profile;
};

[[noreturn]] void run_worker(worker_setup setup);

}  // namespace plait::detail

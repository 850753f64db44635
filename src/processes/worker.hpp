// A worker's whole life: it takes calls from its channel, in order, until it is told to leave.
#pragma once

#include <cstdint>

#include "processes/channel.hpp"
#include "processes/descriptor.hpp"

namespace plait::detail {

struct worker_setup {
  channel* shared;
  pool_page* pool;
  int doorbell;
  descriptor socket;          // for large messages
  std::uint64_t initializer;  // token of a void (*)(), or 0
};

[[noreturn]] void run_worker(worker_setup setup);

}  // namespace plait::detail

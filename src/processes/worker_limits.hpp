// Checking a pool's limits, and setting them in a worker.
#pragma once

#include <cstdint>

#include "plait/processes/process_pool_options.hpp"
#include "processes/descriptor.hpp"

namespace plait::detail {

// Throws std::invalid_argument for what no worker could have.
void check_limits(const process_pool_options& options);

// In a new worker, which has one thread. Throws std::system_error.
void apply_limits(const worker_limits& limits);

// What a process has of memory that it shares with nobody, in bytes; 0: it cannot be read.
std::uint64_t memory_of(int pid) noexcept;

// What this process has of memory that it shares with nobody.
class memory_meter {
 public:
  // Opened once, and before a sandbox closes.
  void open();
  // Bytes; 0 if it is not open.
  std::uint64_t read() const noexcept;

 private:
  descriptor statm_;
};

}  // namespace plait::detail

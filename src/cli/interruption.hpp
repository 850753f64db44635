// src/cli/interruption.hpp: SIGINT and SIGTERM as a descriptor, so that a command ends in order.
//
// Threads:  made on the main thread before any other exists; threads made later inherit the mask.
#pragma once

namespace plait::cli {

class interruption {
 public:
  // From here on the signals end nothing by themselves: they become readable on fd().
  interruption();
  ~interruption();
  interruption(const interruption&) = delete;
  interruption& operator=(const interruption&) = delete;

  int fd() const noexcept { return fd_; }

 private:
  int fd_;
};

}  // namespace plait::cli

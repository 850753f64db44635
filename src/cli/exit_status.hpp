// src/cli/exit_status.hpp: how the tool ends, and the one line it says when it cannot go on.
#pragma once

#include <stdexcept>
#include <string>

namespace plait::cli {

enum class exit_status : int {
  ok = 0,
  failed = 1,         // the command ran, and something it tried did not succeed
  usage = 2,          // the command line, or what this machine lacks: nothing was tried, or not all
  interrupted = 130,  // SIGINT or SIGTERM: everything it had started has ended
};

// What a person has to know, in one line: what is wrong and what to do about it.
class complaint : public std::runtime_error {
 public:
  complaint(exit_status status, const std::string& line)
      : std::runtime_error(line), status_(status) {}
  exit_status status() const noexcept { return status_; }

 private:
  exit_status status_;
};

}  // namespace plait::cli

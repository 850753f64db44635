#include "plait/net/exit_status.hpp"

#include <string.h>

namespace plait::net {

std::string exit_status::to_string() const {
  if (signal_ == 0) return "exit code " + std::to_string(code_);
  const char* name = sigabbrev_np(signal_);
  return "killed by " +
         (name != nullptr ? "SIG" + std::string(name) : "signal " + std::to_string(signal_));
}

}  // namespace plait::net

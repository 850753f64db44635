// src/cli/embedded_server.hpp: `plait serve` in a child process, for as long as this object lives.
#pragma once

#include <string>

#include "cli/child_process.hpp"
#include "cli/interruption.hpp"

namespace plait::cli {

class embedded_server {
 public:
  // Returns when it listens. Throws complaint when it does not come up, or on a signal.
  explicit embedded_server(const interruption& stop);

  // "http://127.0.0.1:PORT"
  const std::string& url() const noexcept { return url_; }

 private:
  child_process process_;
  std::string url_;
};

}  // namespace plait::cli

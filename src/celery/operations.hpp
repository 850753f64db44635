// celery/operations.hpp: what an operator asks of a broker and of the workers on it.
//
// Threads:  the transport's loop.
// Throws:   transport_error.
#pragma once

#include <string>
#include <vector>

#include "celery/transport.hpp"
#include "plait/celery/value.hpp"
#include "plait/core/clock.hpp"

namespace plait::celery::detail {

struct worker_answer {
  std::string node;
  value answer;
};
// Asks all workers and gives those of them that answered within `patience`, by name. Workers that run
// cannot be counted beforehand, so it always takes as long as that.
task<std::vector<worker_answer>> ask_workers(transport& through, std::string method, dict arguments,
                                             duration patience);

// A URL as it may be shown: without its password.
std::string without_password(std::string url);

}  // namespace plait::celery::detail

// src/threads/pool_watcher.hpp: somebody who watches a pool's calls and chooses how many threads work
// at once, through thread_pool_engine::resize().
#pragma once

#include "plait/core/job.hpp"

namespace plait::detail {

class pool_watcher {
 public:
  virtual ~pool_watcher() = default;
  // Instead of j.run(), on the worker's thread.
  virtual void run(job& j) noexcept = 0;
  // Calls wait and no more threads may work. From any thread, and often: it must be cheap.
  virtual void backlog() noexcept = 0;
};

}  // namespace plait::detail

#include "plait/processes.hpp"
#include "plait/testing/executor_conformance.hpp"

namespace {

struct process_pool {
  static constexpr bool shares_memory = false;
  explicit process_pool(std::size_t workers) : pool(workers) {}
  plait::process_pool_executor& executor() { return pool; }
  void shutdown(plait::shutdown_options options) { pool.shutdown(options); }
  plait::process_pool_executor pool;
};

const bool registered = plait::testing::register_executor_conformance<process_pool>("ProcessPool");

}  // namespace

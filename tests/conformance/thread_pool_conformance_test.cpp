#include "plait/testing/executor_conformance.hpp"
#include "plait/threads.hpp"

namespace {

struct thread_pool {
  static constexpr bool shares_memory = true;
  explicit thread_pool(std::size_t workers) : pool(workers) {}
  plait::thread_pool_executor& executor() { return pool; }
  void shutdown(plait::shutdown_options options) { pool.shutdown(options); }
  plait::thread_pool_executor pool;
};

const bool registered = plait::testing::register_executor_conformance<thread_pool>("ThreadPool");

}  // namespace

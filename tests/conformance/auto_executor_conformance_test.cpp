#include "plait/advise.hpp"
#include "plait/testing/executor_conformance.hpp"

namespace {

// One call at a time where the suite says so, else free to choose.
struct auto_executor {
  static constexpr bool shares_memory = true;
  explicit auto_executor(std::size_t workers)
      : engine({.min_threads = workers, .max_threads = workers == 1 ? std::size_t{1} : 256}) {}
  plait::auto_executor& executor() { return engine; }
  void shutdown(plait::shutdown_options options) { engine.shutdown(options); }
  plait::auto_executor engine;
};

const bool registered =
    plait::testing::register_executor_conformance<auto_executor>("AutoExecutor");

}  // namespace

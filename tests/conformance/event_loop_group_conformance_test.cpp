#include "plait/coroutines.hpp"
#include "plait/testing/executor_conformance.hpp"

namespace {

struct event_loop_group {
  static constexpr bool shares_memory = true;
  explicit event_loop_group(std::size_t workers) : group({.loops = workers}) {}
  plait::event_loop_group& executor() { return group; }
  void shutdown(plait::shutdown_options options) { group.shutdown(options); }
  plait::event_loop_group group;
};

const bool registered =
    plait::testing::register_executor_conformance<event_loop_group>("EventLoopGroup");

}  // namespace

#include <thread>

#include "plait/coroutines.hpp"
#include "plait/testing/executor_conformance.hpp"

namespace {

// A loop on a thread of its own; the suite's threads submit to it.
class event_loop {
 public:
  static constexpr bool shares_memory = true;
  explicit event_loop(std::size_t) : thread_([this] { loop_.run(); }) {}
  ~event_loop() { shutdown({}); }
  plait::event_loop& executor() { return loop_; }
  void shutdown(plait::shutdown_options options) {
    loop_.shutdown(options);
    if (thread_.joinable()) thread_.join();
  }

 private:
  plait::event_loop loop_;
  std::thread thread_;
};

const bool registered = plait::testing::register_executor_conformance<event_loop>("EventLoop");

}  // namespace

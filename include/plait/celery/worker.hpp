// plait/celery/worker.hpp: takes calls out of queues and runs them.
//
//   return app.worker({.concurrency = 4}).run();
//
// Stops:    SIGINT and SIGTERM: a warm shutdown. No more calls are taken, those that run are
//           finished, those that wait here go back. The second signal, or SIGQUIT: a cold one.
//           Running processes are killed, and what they ran goes back too.
// Throws:   run(): transport_error when broker or backend cannot be reached at the start;
//           std::invalid_argument.
// Cost:     idle at 0 % CPU. One loop thread; worker processes or threads as calls need them.
#pragma once

#include <memory>
#include <string>

#include "plait/celery/options.hpp"

namespace plait::celery {

class app;

class worker {
 public:
  worker(app& a, worker_options options);
  worker(worker&&) noexcept;
  worker& operator=(worker&&) noexcept;
  ~worker();

  // Blocks until it is told to stop. The exit status of a program: 0 after a warm shutdown, 1 after
  // a cold one.
  int run();
  // As the first signal does, or the second. From any thread.
  void shutdown();

 private:
  struct core;
  std::shared_ptr<core> core_;
};

}  // namespace plait::celery

// tests/coroutines/loop_thread.hpp: an event loop that runs on a thread of its own.
#pragma once

#include <thread>

#include "plait/coroutines/event_loop.hpp"

class loop_thread {
 public:
  loop_thread() : thread_([this] { loop_.run(); }) {}
  ~loop_thread() { end(); }
  loop_thread(const loop_thread&) = delete;
  loop_thread& operator=(const loop_thread&) = delete;

  plait::event_loop* operator->() noexcept { return &loop_; }
  plait::event_loop& loop() noexcept { return loop_; }
  std::thread::id id() const { return thread_.get_id(); }
  // Shuts down, and waits until run() has returned.
  void end(plait::shutdown_options how = {}) {
    if (!thread_.joinable()) return;
    loop_.shutdown(how);
    thread_.join();
  }

 private:
  plait::event_loop loop_;
  std::thread thread_;
};

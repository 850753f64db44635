// tests/core/manual_executor.hpp: an engine whose calls run when the test says so, on its own
// thread.
#pragma once

#include <cstddef>
#include <deque>

#include "plait/core/executor.hpp"

class manual_executor final : public plait::local_executor {
 public:
  ~manual_executor() override {
    drop_all();
    set_worker(worker::nobody);
  }

  std::size_t queued() const { return jobs_.size(); }
  // Runs the oldest call; false when there is none.
  bool run_one() {
    if (jobs_.empty()) return false;
    take()->run();
    return true;
  }
  void run_all() {
    while (run_one()) {
    }
  }
  void drop_all() {
    while (!jobs_.empty()) take()->drop();
  }
  void shutdown() { closed_ = true; }

  // Whether the test's thread counts as this engine's worker from now on.
  enum class worker { nobody, this_thread };
  void set_worker(worker who) {
    if (who == worker::this_thread) {
      exchange_current(this);
    } else if (is_current()) {
      exchange_current(nullptr);
    }
  }

 protected:
  admission admit(plait::detail::job& j, const plait::call_options&) override {
    if (closed_) return admission::closed;
    jobs_.push_back(&j);
    return admission::accepted;
  }
  bool take_back(plait::detail::job& j) noexcept override {
    if (jobs_.empty() || jobs_.back() != &j) return false;
    jobs_.pop_back();
    return true;
  }
  std::size_t default_window() const noexcept override { return 3; }

 private:
  plait::detail::job* take() {
    auto* oldest = jobs_.front();
    jobs_.pop_front();
    return oldest;
  }
  std::deque<plait::detail::job*> jobs_;
  bool closed_ = false;
};

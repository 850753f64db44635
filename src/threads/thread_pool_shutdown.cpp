// How a pool ends.
#include <string>

#include "threads/thread_pool_engine.hpp"
#include "threads/worker.hpp"

namespace plait::detail {

void thread_pool_engine::break_pool(std::exception_ptr reason) noexcept {
  try {
    std::rethrow_exception(reason);
  } catch (const std::exception& e) {
    reason = std::make_exception_ptr(
        broken_executor(std::string("the pool's initializer failed: ") + e.what()));
  } catch (...) {
    reason = std::make_exception_ptr(broken_executor("the pool's initializer failed"));
  }
  {
    const std::lock_guard hold(threads_);
    broken_ = reason;
  }
  injected_.close();
  closed_.store(true, std::memory_order_seq_cst);
  cancelling_.store(true, std::memory_order_seq_cst);
  drain([&](job& j) { j.fail(reason); });
  tell_of_room();
  parked_.wake_all();
}

template <class End>
void thread_pool_engine::drain(End end) noexcept {
  const auto one = [&](job& j) {
    if (options_.max_pending != 0) left_queue();
    end(j);
  };
  while (job* j = injected_.take_one()) one(*j);
  for (std::size_t i = 0; i < slots_used_.load(std::memory_order_acquire); ++i) {
    worker* w = slots_[i].load(std::memory_order_acquire);
    while (w != nullptr && !w->deque.empty())
      if (job* j = w->deque.steal()) one(*j);
  }
}

void thread_pool_engine::cancel_queued() noexcept {
  cancelling_.store(true, std::memory_order_seq_cst);
  drain([](job& j) { j.drop(); });
}

// Asked by a parked worker: nothing comes from outside, nobody runs a call that could submit, and
// nothing is queued. (A worker that left earlier would be missed by a call that waits for what it
// has submitted.) Parked is asked twice: a worker may have taken the last job in between.
bool thread_pool_engine::is_over() const noexcept {
  const auto everybody_parked = [&] {
    return parked_.parked() == alive_.load(std::memory_order_seq_cst);
  };
  return closed_.load(std::memory_order_seq_cst) && everybody_parked() && !has_work() &&
         everybody_parked();
}

void thread_pool_engine::shutdown(shutdown_options how) noexcept {
  injected_.close();
  if (how.pending == shutdown_options::pending_calls::cancel) cancel_queued();
  closed_.store(true, std::memory_order_seq_cst);
  tell_of_room();
  parked_.wake_all();
  if (is_current()) return;  // a worker cannot wait for itself
  if (!await_end(how.grace)) {
    cancel_queued();
    {
      const std::lock_guard hold(stoppables_);
      for (stoppable_call* c = stoppable_; c != nullptr; c = c->next_running) c->stop_running();
    }
    parked_.wake_all();
    await_end(duration::max());
  }
  growth_.stop();
  const std::lock_guard hold(threads_);
  join_all();
}

void thread_pool_engine::join_all() noexcept {
  for (std::size_t i = 0; i < slots_used_; ++i)
    if (slots_[i].load()->thread.joinable()) slots_[i].load()->thread.join();
}

// Until no thread is left; false if that takes longer than `grace`.
bool thread_pool_engine::await_end(duration grace) noexcept {
  std::unique_lock hold(threads_);
  const auto nobody = [&] { return alive_.load(std::memory_order_seq_cst) == 0; };
  if (grace == duration::max()) {
    thread_ended_.wait(hold, nobody);
    return true;
  }
  return thread_ended_.wait_until(hold, add_saturated(std::chrono::steady_clock::now(), grace),
                                  nobody);
}

}  // namespace plait::detail

// src/threads/thread_pool_engine.hpp: the threads behind a thread_pool_executor.
//
// Counts of threads
// -----------------
//   alive     have been started and have not ended
//   parked    asleep for want of work                       (parking.hpp)
//   blocked   inside a call that waits for a future
//   active    alive - parked - blocked: what competes for CPUs
// The pool keeps active at or below limit_: a worker that ends a call while there are too many parks
// itself, work or not, and nobody is woken or started while there are enough. A blocked worker makes
// room for another, which is how a pool of one survives a call that waits for a later one. When the
// wait ends there is one too many for as long as one call takes.
//
// Life of a worker: search, run what is found and what follows from it, search again, park. Threads
// above the base size end when they have been parked for idle_timeout. All end when the pool is
// closed, everybody is parked and nothing is queued (is_over).
//
// Slots: workers live in an array that never moves, so that thieves may walk it without a lock; a
// slot whose thread has ended is used again.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "inspect/registry.hpp"
#include "plait/threads/thread_pool_executor.hpp"
#include "threads/growth_monitor.hpp"
#include "threads/injection_queue.hpp"
#include "threads/parking.hpp"
#include "threads/pool_watcher.hpp"
#include "threads/work_deque.hpp"

namespace plait::detail {

class thread_pool_engine final : public call_home, public blocking_policy, public inspected {
 public:
  enum class answer { accepted, closed, full };

  // The watcher, if there is one, chooses max_workers; it lives as long as the engine.
  explicit thread_pool_engine(thread_pool_options options,
                              std::shared_ptr<pool_watcher> watcher = nullptr);
  ~thread_pool_engine();
  // The end of the handle: shuts down and deletes; on a worker, leaves both to the last worker.
  static void dispose(thread_pool_engine* engine) noexcept;

  answer post(job& j, const call_options& how);
  bool take_back(job& j) noexcept override;
  void enter(stoppable_call& c) noexcept override;
  void leave(stoppable_call& c) noexcept override;
  void shutdown(shutdown_options how) noexcept;
  void resize(std::size_t max_workers);
  std::size_t max_workers() const noexcept { return most_.load(std::memory_order_relaxed); }
  thread_pool_statistics statistics() const noexcept;

  void before_block(const state_base* awaited) override;
  void after_block() noexcept override;
  void describe(inspection& into) override;

 private:
  friend growth_monitor;
  struct worker;

  // Workers.
  void work(worker& self) noexcept;
  bool initialize() noexcept;
  void run_from(worker& self, job* found) noexcept;
  enum class after_park { searching, ended, gone };
  after_park park(worker& self) noexcept;
  bool retire(worker& self) noexcept;
  void end(worker& self) noexcept;
  void last_rites(worker& self, std::unique_lock<std::mutex> hold, bool is_last) noexcept;
  job* search(worker& self) noexcept;
  job* next(worker& self) noexcept;
  void run(job& j) noexcept {
    if (watcher_ != nullptr) [[unlikely]]
      return watcher_->run(j);
    j.run();
  }
  void run_watched(worker& self, job& j) noexcept;

  // How many.
  std::size_t active() const noexcept {
    const std::size_t out = parked_.parked() + blocked_.load(std::memory_order_seq_cst);
    const std::size_t all = alive_.load(std::memory_order_seq_cst);
    return all > out ? all - out : 0;
  }
  bool has_work() const noexcept;
  bool is_over() const noexcept;
  // There is work that nobody may be coming for: P1 and P2 of parking.hpp, and new threads.
  void call_for_help() noexcept {
    if (parked_.searching() == 0 && (active() < limit_.load(std::memory_order_seq_cst) || grows_))
      bring_help();
  }
  void bring_help() noexcept;
  void start_worker() noexcept;
  void start_thread(std::unique_lock<std::mutex>& hold);
  bool idles_away() const noexcept;

  // Calls that come in.
  bool enqueue_own(job& j, const call_options& how) noexcept;
  answer take_room(job& j, const call_options& how);
  answer refuse(job& j);
  void wait_for_room();
  void left_queue() noexcept;
  void tell_of_room() noexcept;

  // Ends.
  void break_pool(std::exception_ptr reason) noexcept;
  template <class End>
  void drain(End end) noexcept;
  void cancel_queued() noexcept;
  bool await_end(duration grace) noexcept;
  void join_all() noexcept;

  static constexpr int search_rounds = 64;
  static thread_local constinit worker* current_;

  const thread_pool_options options_;
  const std::shared_ptr<pool_watcher> watcher_;
  const bool grows_;  // somebody wants to hear that calls wait
  const std::size_t cpus_;
  const std::size_t base_;                      // workers that stay when idle
  std::atomic<std::size_t> most_;               // what the user allows
  alignas(64) std::atomic<std::size_t> limit_;  // what may be active now
  std::atomic<std::size_t> alive_{0}, blocked_{0};
  std::atomic<std::size_t> slots_used_{0};
  std::atomic<bool> closed_{false};      // no calls from outside any more
  std::atomic<bool> cancelling_{false};  // nor from calls that are running
  std::atomic<bool> ended_{false};       // and none is running: the workers return
  parking parked_;
  injection_queue injected_;

  std::mutex threads_;  // guards the four below, and every start and end of a thread
  std::condition_variable thread_ended_;
  std::vector<std::size_t> free_slots_;
  bool orphaned_ = false;
  std::exception_ptr broken_;

  const std::size_t capacity_;
  std::unique_ptr<std::atomic<worker*>[]> slots_;

  std::atomic<std::size_t> pending_{0};  // only with max_pending
  std::mutex room_;
  std::condition_variable room_made_;

  std::mutex stoppables_;
  stoppable_call* stoppable_ = nullptr;

  growth_monitor growth_;
};

}  // namespace plait::detail

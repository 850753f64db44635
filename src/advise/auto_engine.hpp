// src/advise/auto_engine.hpp: the three engines behind an auto_executor, and who chooses their widths.
#pragma once

#include <deque>
#include <memory>
#include <mutex>

#include "advise/first_calls.hpp"
#include "advise/width_keeper.hpp"
#include "plait/advise/auto_executor.hpp"
#include "threads/pool_watcher.hpp"
#include "threads/thread_pool_engine.hpp"

namespace plait::detail {

// Blocking calls.
class thread_side final : public pool_watcher, public width_keeper {
 public:
  explicit thread_side(width_limits limits) : width_keeper(limits) {}
  ~thread_side() override { stop(); }
  void attach(thread_pool_engine& engine) noexcept { engine_ = &engine; }
  void run(job& j) noexcept override;
  void backlog() noexcept override { width_keeper::backlog(); }
  auto_form_report report() const;

 private:
  load now() const noexcept override;
  void apply(std::size_t width) override { engine_->resize(width); }
  bool has_locks() const noexcept override { return true; }
  call_lane* join() noexcept;
  thread_pool_engine* engine_ = nullptr;
  first_calls first_;
};

class task_side;

// The coroutines of one loop. It belongs to that loop's thread but for the two counts.
class task_gate {
 public:
  task_gate(task_side& side, std::size_t limit, std::size_t most);
  std::atomic<std::size_t> waiting{0}, under_way{0};
  // On the loop.
  void set_limit(std::size_t limit) noexcept;

 private:
  friend task_place;
  friend std::optional<semaphore::permit> try_permit(task_gate& gate) noexcept;
  friend task<semaphore::permit> next_permit(task_gate& gate);
  void publish_oldest() noexcept;
  task_side& side_;
  const std::size_t most_;
  semaphore places_;
  std::vector<semaphore::permit> withheld_;  // most_ - limit_, those still in use aside
  std::size_t owed_ = 0;                     // to withheld_, by coroutines that are under way
  task_place *oldest_ = nullptr, *newest_ = nullptr;
  std::shared_ptr<call_lane> lane_;
};

class task_side final : public width_keeper {
 public:
  task_side(width_limits limits, std::size_t loops);
  ~task_side() { stop(); }
  event_loop_group group;
  std::deque<task_gate> gates;  // one for each loop

 private:
  load now() const noexcept override;
  void apply(std::size_t width) override;
  bool has_locks() const noexcept override { return false; }
};

class auto_engine {
 public:
  explicit auto_engine(auto_executor_options options);
  auto_engine(const auto_engine&) = delete;
  auto_engine& operator=(const auto_engine&) = delete;
  ~auto_engine();

  task_side& tasks();  // throws executor_shutdown
  process_pool_executor& processes();
  void shutdown(shutdown_options how);
  auto_report report() const;

  const auto_executor_options options;
  const std::size_t cores;
  const std::shared_ptr<thread_side> threads;
  thread_pool_engine* const pool;
  std::atomic<task_side*> started_tasks{nullptr};

 private:
  void check_open() const;
  mutable std::mutex lazily_;  // guards the three below
  std::unique_ptr<task_side> tasks_;
  std::unique_ptr<process_pool_executor> processes_;
  bool closed_ = false;
};

}  // namespace plait::detail

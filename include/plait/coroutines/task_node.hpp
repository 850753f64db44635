// plait/coroutines/task_node.hpp: a started task, whatever its types are: its flow, the way by which
// a stop reaches it, and its place among the tasks that somebody keeps a list of.
//
// A spawned_task is in its loop's list, a group_child (task_group.hpp) in its group's.
//
// Threads:  the loop's thread, but for begin_stop().
#pragma once

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <exception>
#include <string>

#include "plait/coroutines/context.hpp"
#include "plait/coroutines/task.hpp"

namespace plait::detail {

enum class task_end { value, failed, cancelled };

class task_node : public completion {
 public:
  context& flow() noexcept { return flow_; }
  const context& flow() const noexcept { return flow_; }
  // "task NAME submitted in ...": what describe() of its future says.
  virtual std::string describe_task() const = 0;
  virtual const state_base* result() const noexcept = 0;  // what its future shares

 protected:
  task_node(loop_queue& queue, const context* parent, const void* where) noexcept
      : flow_(queue, parent, where) {}
  ~task_node() = default;
  void begin(std::coroutine_handle<> frame, task_promise_base& promise) noexcept {
    promise.flow = &flow_;
    promise.continue_with(*this);
    waiter::run_frames(flow_, frame);
  }

  // A stop from any thread travels as a job, at most one a task. Whoever wins begin_stop() posts it,
  // and until it has arrived the loop stays, even if the task has ended meanwhile.
  enum class stop_request : std::uint8_t { nobody, somebody, too_late };
  stop_request begin_stop() noexcept {  // returns what was there before
    auto before = stop_request::nobody;
    asked_.compare_exchange_strong(before, stop_request::somebody);
    return before;
  }
  bool stop_asked() const noexcept {
    return asked_.load(std::memory_order_relaxed) != stop_request::nobody;
  }
  void stop_arrived() noexcept;
  // On the loop, before the task is done.
  void refuse_stops() noexcept {
    if (asked_.exchange(stop_request::too_late) == stop_request::somebody && !stop_arrived_)
      expect_stop();
  }

 private:
  void expect_stop() noexcept;
  context flow_;
  std::atomic<stop_request> asked_{stop_request::nobody};
  bool stop_arrived_ = false;
};

// A task that was started by submit or spawn: one node of the loop's list of live tasks.
class spawned_task : public task_node {
 public:
  // The next in the loop's list of live tasks.
  spawned_task* next_live() const noexcept { return next_; }

 protected:
  using home_type = loop_queue;
  spawned_task(loop_queue& queue, const void* where) noexcept : task_node(queue, nullptr, where) {}
  ~spawned_task() = default;
  // On the loop: runs the frame up to its first suspension.
  void start(std::coroutine_handle<> frame, task_promise_base& promise) noexcept {
    auto& queue = flow().queue();
    next_ = queue.live;
    if (next_ != nullptr) next_->link_ = &next_;
    queue.live = this;
    link_ = &queue.live;
    if (!queue.is_plain) [[unlikely]]
      begins_unplainly();
    begin(frame, promise);
  }
  void unlink() noexcept {
    *link_ = next_;
    if (next_ != nullptr) next_->link_ = link_;
    if (!flow().queue().is_plain) [[unlikely]]
      ends_unplainly();
  }
  // What becomes of the end of the task: here its future tells it, and nobody else.
  static constexpr bool failures_are_heard = false;
  struct end_listener {
    void ended(task_end, std::exception_ptr) const noexcept {}
  };
  end_listener listener_of_the_end() const noexcept { return {}; }
  void leave_unstarted() noexcept {}

 private:
  void begins_unplainly() noexcept;
  void ends_unplainly() noexcept;
  spawned_task* next_;   // both once it has begun
  spawned_task** link_;  // what points to this: the list's head, or next_ of another
};

}  // namespace plait::detail

// plait/coroutines/context.hpp: what every suspended coroutine rests on: contexts and waiters.
//
// A context is one flow of control on one loop: a spawned task and whatever it awaits in line. A
// flow is suspended on at most one waiter at a time, so cancellation needs no registration: it asks
// the context's current waiter to let go. Contexts form a tree through their waiters: a flow that
// waits for children (gather, timeout) passes a stop on to them.
//
// Everything here belongs to the loop's thread. Other threads go through event_loop::deliver.
//
// Cancellation is level-triggered: once a context is stopping, every further await of its flow
// throws cancelled_error, until the flow ends. An operation that has already succeeded when the
// stop arrives keeps its result.
#pragma once

#include <coroutine>
#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "plait/core/errors.hpp"
#include "plait/core/job.hpp"
#include "plait/coroutines/loop_queue.hpp"

namespace plait::detail {

class state_base;
class waiter;
class task_locals;

// Called with each flow that runs inside a wait.
struct flow_visitor {
  virtual void visit(const context& flow) = 0;

 protected:
  ~flow_visitor() = default;
};

class context {
 public:
  // `parent` waits for this flow and outlives it; null for a spawned task. `where` is the address
  // of the code that started it, null if that is where its parent was started.
  explicit context(loop_queue& queue, const context* parent = nullptr,
                   const void* where = nullptr) noexcept
      : queue_(&queue), parent_(parent), marks_(reinterpret_cast<std::uintptr_t>(where)) {}
  context(const context&) = delete;
  context& operator=(const context&) = delete;
  ~context() {
    if (extras_ != 0) drop_extras();
  }

  loop_queue& queue() const noexcept { return *queue_; }
  event_loop& loop() const noexcept { return *queue_->owner; }
  bool stopping() const noexcept { return (marks_ & is_stopping) != 0; }
  // Tells flows apart, also from those that have ended: for a number to come again takes the same
  // address and 32,768 flows that were asked for theirs.
  std::uint64_t number() noexcept {
    while (turn() == 0)
      marks_ |= static_cast<std::uint64_t>(++queue_->last_turn & 0x7fff) << turn_shift;
    return number_or_zero();
  }
  // 0 while nobody has asked for it.
  std::uint64_t number_or_zero() const noexcept {
    return turn() == 0
               ? 0
               : static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(this)) << 15 | turn();
  }
  // What the flow is suspended on; null while it runs or is about to.
  const waiter* waiting() const noexcept { return waiting_; }
  void request_stop() noexcept;
  // The flow's stop as a token that threads and other libraries understand. Allocates once.
  std::stop_token stop_token();

  // The flow that waits for this one; null for a spawned task.
  const context* parent() const noexcept { return parent_; }
  // For people; what has no name of its own has that of the nearest flow above, or none ("").
  std::string_view name() const noexcept;
  std::string_view own_name() const noexcept;
  void set_name(std::string_view name);
  // The code that started this flow or the nearest above that knows, for describe_address().
  const void* where() const noexcept;
  // The flow that runs on the calling thread; null outside tasks.
  static context* running() noexcept;

  // See task_local.hpp; null when there are none. set_locals() takes a reference over.
  const task_locals* locals() const noexcept;
  void set_locals(const task_locals* locals) noexcept;
  // On the loop, before others may have the last hold on this flow.
  void drop_locals() noexcept {
    if (extras_ != 0) set_locals(nullptr);
  }
  // At the start of this flow: has what `creator` (may be null) has.
  void inherit_locals(const context* creator) noexcept {
    if (creator != nullptr && creator->extras_ != 0) [[unlikely]]
      share_locals(*creator);
  }

 private:
  friend waiter;
  // What few flows have lives apart: a name, a stop_source. One that has nothing but task locals
  // points at those.
  struct extras;
  static constexpr std::uintptr_t only_locals = 1;
  extras& make_extras();
  const extras* extras_or_null() const noexcept;
  void drop_extras() noexcept;
  void share_locals(const context& creator) noexcept;

  loop_queue* queue_;
  waiter* waiting_ = nullptr;
  const context* parent_;
  std::uintptr_t extras_ = 0;
  // By hand what bit-fields would say, so that a new flow is made with one store:
  //   bits 0..47   where: addresses of programs have 47 bits, or 48
  //   bit  48      is_stopping
  //   bits 49..63  turn, of number(); 0 until it is asked for
  static constexpr unsigned turn_shift = 49;
  static constexpr std::uint64_t is_stopping = std::uint64_t{1} << 48;
  std::uint64_t turn() const noexcept { return marks_ >> turn_shift; }
  std::uint64_t marks_;
};

// The part of every coroutine promise that awaiting needs.
struct promise_base {
  context* flow = nullptr;
  // Whether who awaits the coroutine can be read from its frame (see task_promise_base).
  static constexpr bool is_linked = false;
};
// The same of a frame whose promise lies where that of most types does.
template <class P>
inline constexpr bool is_linked_frame = false;
template <class P>
requires(P::is_linked) inline constexpr bool is_linked_frame<P> = alignof(P) <= 2 * sizeof(void*);
template <class P>
concept flow_promise = std::is_base_of_v<promise_base, P>;

// A suspended flow, and the job that resumes it. Lives in the awaiter, in the suspended frame.
class waiter : public job {
 public:
  // Runs the frame on, and whatever the trampoline is then left with; called by the loop.
  void run() noexcept final {
    flow_->waiting_ = nullptr;  // unless resume_soon() did that
    run_frames(*flow_, frame_);
  }
  static void run_frames(context& flow, std::coroutine_handle<> frame) noexcept {
    loop_queue& queue = flow.queue();
    queue.running = &flow;
    do {
      frame.resume();
      frame = std::exchange(queue.next, nullptr);
    } while (frame);
    queue.running = nullptr;
  }
  void drop() noexcept final {}
  // The flow was asked to stop while suspended here: leave what is waited for and give_up(), or
  // pass the stop on and stay.
  virtual void stop() noexcept = 0;

  // For whoever looks inside a running loop: what is waited for, as a person would say it ("sleep
  // of 1.2 s", "a place in a full queue"), and the flows that run inside the wait.
  virtual std::string waits_for() const = 0;
  virtual void visit_children(flow_visitor&) const {}
  // Whether nothing but a task of this loop, or a stop, can end the wait: no time, kernel or thread.
  virtual bool ends_from_within() const noexcept { return false; }
  // The state that the wait is for, if it is for one.
  virtual const state_base* awaited_state() const noexcept { return nullptr; }
  // The number() of the flow that has what is waited for, if one is known to.
  virtual std::uint64_t held_by() const noexcept { return 0; }
  // The innermost suspended frame; whether is_linked_frame holds for it.
  const void* frame() const noexcept { return frame_.address(); }
  bool has_linked_frame() const noexcept { return !unlinked_; }
  job_origin origin() const noexcept final;

 protected:
  waiter() noexcept {}
  ~waiter() = default;

  // Becomes what the flow waits for. If the flow is stopping, does nothing and returns false: the
  // await then throws from check().
  template <flow_promise P>
  bool suspend(std::coroutine_handle<P> frame) noexcept {
    if (!may_wait(frame)) [[unlikely]]
      return false;
    wait_here(frame);
    return true;
  }
  // Its two steps, for who may find between them that there is nothing to wait for.
  template <flow_promise P>
  bool may_wait(std::coroutine_handle<P> frame) noexcept {
    flow_ = frame.promise().flow;
    if (!flow_->stopping()) [[likely]]
      return true;
    stopped_ = true;
    return false;
  }
  template <flow_promise P>
  void wait_here(std::coroutine_handle<P> frame) noexcept {
    if constexpr (!is_linked_frame<P>) unlinked_ = true;
    enter(frame);
  }
  // The same without looking at the stop: for waits that must end by themselves.
  template <flow_promise P>
  void suspend_always(std::coroutine_handle<P> frame) noexcept {
    flow_ = frame.promise().flow;
    wait_here(frame);
  }
  // Takes suspend() back: there is nothing to wait for after all.
  void unsuspend() noexcept { flow_->waiting_ = nullptr; }
  // The flow no longer waits here; it runs when the loop comes to it.
  void resume_soon() noexcept {
    flow_->waiting_ = nullptr;
    flow_->queue_->ready.push(*this);
  }
  // As resume_soon, on another thread; until it has arrived, a stop still comes here.
  void post_to(event_loop& loop) noexcept;
  // As resume_soon, where the caller is the end of a coroutine and about to return to the loop.
  void resume_next() noexcept {
    flow_->waiting_ = nullptr;
    flow_->queue_->running = flow_;
    flow_->queue_->next = frame_;
  }
  // From stop(): the wait is over without success.
  void give_up() noexcept {
    stopped_ = true;
    resume_soon();
  }
  // As give_up, for a wait that has something to finish first: check() will throw.
  void give_up_later() noexcept { stopped_ = true; }
  // In await_resume.
  void check() const {
    if (stopped_) [[unlikely]]
      throw_cancelled();
  }
  context& flow() const noexcept { return *flow_; }

 private:
  void enter(std::coroutine_handle<> frame) noexcept {
    frame_ = frame;
    flow_->waiting_ = this;
  }
  [[noreturn]] static void throw_cancelled();

  // Both once it is awaited. No initialisers: many a wait has nothing to wait for.
  std::coroutine_handle<> frame_;
  context* flow_;
  bool stopped_ = false;
  bool unlinked_ = false;  // zero as its neighbour: one store makes both
};

}  // namespace plait::detail

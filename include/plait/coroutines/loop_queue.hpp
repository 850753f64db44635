// plait/coroutines/loop_queue.hpp: what is ready on a loop: the part of it that awaiting touches.
//
// Inline and in one place, so that a task which awaits, yields or ends reaches for one cache line of
// its loop and calls nothing.
//
// Threads:  the loop's thread only.
#pragma once

#include <coroutine>
#include <cstdint>

#include "plait/core/clock.hpp"
#include "plait/core/job.hpp"

namespace plait {

class event_loop;

namespace detail {

// First in, first out; the nodes are the jobs themselves.
template <class Job>
class job_list {
 public:
  bool empty() const noexcept { return head_ == nullptr; }
  void push(Job& j) noexcept {
    j.next = nullptr;
    (head_ != nullptr ? tail_->next : head_) = &j;
    tail_ = &j;
  }
  Job* pop() noexcept {
    job* first = head_;
    if (first != nullptr) head_ = first->next;
    return static_cast<Job*>(first);
  }

 private:
  job* head_ = nullptr;
  job* tail_ = nullptr;
};

class context;
class spawned_task;

// How deep the calling thread's stack is; grows downwards.
[[gnu::always_inline]] inline std::uintptr_t stack_address() noexcept {
#if defined(__x86_64__)
  std::uintptr_t address;
  asm("mov %%rsp, %0" : "=r"(address));
  return address;
#elif defined(__aarch64__)
  std::uintptr_t address;
  asm("mov %0, sp" : "=r"(address));
  return address;
#else
  return reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
#endif
}

// The part of a loop that awaiting touches.
struct loop_queue {
  explicit loop_queue(event_loop& o) noexcept : owner(&o) {}
  event_loop* owner;
  context* running = nullptr;    // the flow whose code runs right now
  std::coroutine_handle<> next;  // what the trampoline runs when the present frame returns
  job_list<job> ready;           // what runs after that, in order
  spawned_task* live = nullptr;  // the tasks that have begun and not ended
  // Nobody watches, draws the order or has shut the loop down: what is ready may simply run. Looked
  // at anew in each turn.
  bool is_plain = false;
  // The loop's time, while it is known: not yet in this turn, never when it is virtual.
  static constexpr time_point unknown = time_point::min();
  time_point now = unknown;
  std::uintptr_t stack_end = ~std::uintptr_t{0};  // where awaited frames no longer nest
  std::uint32_t elsewhere = 0;                    // waits that other engines will end
  std::uint16_t last_turn = 0;                    // see context::number()

  // Once the loop runs, from where it runs.
  void may_nest_from_here() noexcept { stack_end = stack_address() - 16 * 1024; }
  bool has_stack_left() const noexcept { return stack_address() > stack_end; }
};

}  // namespace detail
}  // namespace plait

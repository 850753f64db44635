// src/coroutines/loop_view.hpp: a loop as `plait ps` sees it: its tasks, and what it runs.
//
// A loop that turns is asked by a job, so that its tasks stand still while they are read; one that
// does not answer in time is told by what is known from outside: what it began to run, and when.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "coroutines/timer_wheel.hpp"
#include "inspect/activity.hpp"
#include "inspect/registry.hpp"
#include "inspect/stall_watch.hpp"
#include "inspect/trace_record.hpp"
#include "plait/coroutines/event_loop.hpp"

namespace plait::detail {

// One flow, as plain data.
struct task_record {
  std::string name, waits_for;
  job_origin origin;                    // without its name
  bool suspended = false;               // else it runs or is ready to
  bool ends_from_within = false;        // the wait
  std::vector<const void*> coroutines;  // code of those that await each other, outermost first
  std::size_t more_coroutines = 0;      // left out between the first and the second
  std::vector<std::size_t> awaits;      // indices of records: children, whose futures, whose locks
  const state_base* awaited = nullptr;  // compared, never followed
  origin_copy awaited_call;             // if that is a call of another engine
  std::uint64_t held_by = 0;            // who has the lock that is waited for: context::number()
};

struct loop_tasks {
  static constexpr std::size_t most = 10'000;  // that are told; all are counted
  std::vector<task_record> tasks;
  std::size_t more = 0;
  // All wait for each other: no timer, no descriptor and no other engine will wake one of them.
  bool stuck = false;
};

// On the loop's thread.
loop_tasks read_tasks(spawned_task* live);
bool all_end_from_within(const loop_tasks& found) noexcept;

// For the trace: the task begins or ends now.
void trace_life(trace_record::kind what, const spawned_task& task) noexcept;

class loop_view final : public inspected {
 public:
  loop_view(const loop_queue& queue, spawned_task* const& live, const timer_wheel& timers,
            duration stall_after)
      : inspected(engine_kind::loop),
        queue_(queue),
        loop_(*queue.owner),
        live_(live),
        timers_(timers),
        stalls_(running_, thread_, stall_after) {
    enter();
  }
  ~loop_view() { leave(); }

  // The loop's thread has come, or goes: 0. Whoever sees it may use the loop, which is complete.
  void set_thread(int tid) noexcept { thread_.store(tid, std::memory_order_release); }
  bool is_watched() const noexcept { return watched() || stalls_.is_on(); }
  // Instead of job::run() when somebody may be watching.
  void run_watched(job& j) noexcept {
    if (!is_watched()) return j.run();
    const watched_run scope(running_, j.origin());
    if (stalls_.is_on()) stalls_.begun();
    j.run();
  }
  void describe(inspection& into) override;

 private:
  struct question;
  loop_tasks read() const;  // on the loop's thread
  const loop_queue& queue_;
  event_loop& loop_;
  spawned_task* const& live_;
  const timer_wheel& timers_;
  std::atomic<int> thread_{0};
  activity running_;
  stall_watch stalls_;  // the last: it looks at those two
};

}  // namespace plait::detail

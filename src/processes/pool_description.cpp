// What a pool tells of itself: pids, numbers, and what `plait ps` shows of its workers.
#include <algorithm>

#include "processes/process_engine.hpp"
#include "processes/worker_limits.hpp"

namespace plait::detail {
namespace {

const char* name_of(start_method start) noexcept {
  switch (start) {
    case start_method::spawn:
      return "spawn";
    case start_method::fork:
      return "fork";
    default:
      return "forkserver";
  }
}

}  // namespace

std::vector<int> process_engine::worker_pids() {
  const std::lock_guard hold(mutex_);
  std::vector<int> pids;
  for (std::size_t i = 0; i < seat_count_; ++i)
    if (seat_at(i).state != seat::life::empty)
      if (const int pid = pid_of(seat_at(i))) pids.push_back(pid);
  return pids;
}

process_pool_statistics process_engine::statistics() {
  const std::lock_guard hold(mutex_);
  process_pool_statistics now{};
  now.unfinished = unfinished_.load(std::memory_order_relaxed);
  now.queued = pending_.size();
  now.started = started_;
  now.crashed = crashed_;
  now.start = start_.load(std::memory_order_relaxed);
  for (std::size_t i = 0; i < seat_count_; ++i) {
    const seat& s = seat_at(i);
    if (s.state == seat::life::empty) continue;
    ++now.workers;
    for (std::uint32_t q = s.harvested; q != s.placed; ++q)
      now.queued += s.slot_of(q).state.load(std::memory_order_relaxed) == slot_state::queued;
  }
  return now;
}

void process_engine::describe(inspection& into) {
  struct row {
    int pid;
    std::size_t queued;
    activity::snapshot run;
  };
  const auto number = [](std::size_t n) { return static_cast<std::int64_t>(n); };
  const auto now = statistics();
  std::vector<row> rows;
  {
    const std::lock_guard hold(mutex_);
    for (std::size_t i = 0; i < seat_count_; ++i) {
      const seat& s = seat_at(i);
      if (s.state == seat::life::empty) continue;
      row& r = rows.emplace_back(pid_of(s), 0);
      for (std::uint32_t q = s.harvested; q != s.placed; ++q) {
        const remote_job* job = s.jobs[q % slot_count];
        if (job == nullptr) continue;
        const slot& at = s.slot_of(q);
        const auto state = at.state.load(std::memory_order_acquire);
        r.queued += state == slot_state::queued;
        if (state != slot_state::running) continue;
        r.run.running = true;
        r.run.what = origin_copy(job->identity());
        r.run.began = std::clamp<std::int64_t>(at.began, 0, monotonic_ns());
      }
    }
  }
  auto& out = into.out;
  out.begin_object();
  out.field("max_workers", number(limit()));
  out.field("start", name_of(now.start));
  out.field("queued", number(now.queued));
  out.field("unfinished", number(now.unfinished));
  out.field("started", number(now.started));
  out.field("crashed", number(now.crashed));
  out.key("workers").begin_array();
  for (const row& r : rows) {
    out.begin_object();
    out.field("pid", r.pid);
    if (const auto bytes = memory_of(r.pid)) out.field("memory", static_cast<std::int64_t>(bytes));
    out.field("state", r.run.running ? "running" : "idle");
    out.field("queued", number(r.queued));
    if (r.run.running) write_run(into, r.run);
    out.end_object();
  }
  out.end_array();
  out.end_object();
}

}  // namespace plait::detail

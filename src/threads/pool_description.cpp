// What `plait ps` shows of a pool: its threads, the call that each runs, and for how long.
#include "inspect/activity.hpp"
#include "threads/thread_pool_engine.hpp"
#include "threads/worker.hpp"

namespace plait::detail {

void thread_pool_engine::run_watched(worker& self, job& j) noexcept {
  const watched_run scope(self.running, j.origin());
  run(j);
}

void thread_pool_engine::describe(inspection& into) {
  auto& out = into.out;
  const auto s = statistics();
  const auto number = [](std::size_t n) { return static_cast<std::int64_t>(n); };
  out.begin_object();
  out.field("name", options_.thread_name_prefix);
  out.field("max_workers", number(max_workers()));
  out.field("idle", number(s.idle));
  out.field("blocked", number(s.blocked));
  out.field("queued", number(s.queued));
  out.field("done", number(s.done));
  out.key("threads").begin_array();
  const std::size_t n = slots_used_.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < n; ++i) {
    const worker& w = *slots_[i].load(std::memory_order_acquire);
    const int tid = w.tid.load(std::memory_order_relaxed);
    if (tid == 0) continue;
    const bool busy = w.busy.load(std::memory_order_relaxed);
    const auto now = w.running.read();
    out.begin_object();
    out.field("thread", tid);
    out.field("state", busy ? "running" : "idle");
    out.field("done", static_cast<std::int64_t>(w.done.load(std::memory_order_relaxed)));
    if (busy) write_thread_state(into, tid);
    if (now.running) write_run(into, now);
    out.end_object();
  }
  out.end_array();
  out.end_object();
}

}  // namespace plait::detail

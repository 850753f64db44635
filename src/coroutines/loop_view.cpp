#include "coroutines/loop_view.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <unordered_map>

namespace plait::detail {
namespace {

constexpr auto patience = std::chrono::milliseconds(200);
constexpr std::size_t most_coroutines = 64;  // of one flow that are told

const task_promise_base& promise_of(const void* frame) noexcept {
  return std::coroutine_handle<task_promise_base>::from_address(const_cast<void*>(frame)).promise();
}

// Reads flows breadth-first, so that no depth of nesting can exhaust the stack.
class reader final : public flow_visitor {
 public:
  loop_tasks read(spawned_task* live) {
    std::unordered_map<const state_base*, std::size_t> by_result;
    for (spawned_task* t = live; t != nullptr; t = t->next_live()) {
      const std::size_t index = found_.tasks.size();
      if (!add(t->flow())) continue;
      found_.tasks[index].origin = t->origin();
      by_result.emplace(t->result(), index);
    }
    for (present_ = 0; present_ < flows_.size(); ++present_) look_into(*flows_[present_]);
    for (auto& task : found_.tasks)
      if (const auto at = by_result.find(task.awaited); at != by_result.end())
        await_task(task, at->second);
    name_holders();
    return std::move(found_);
  }

 private:
  static void await_task(task_record& task, std::size_t other) {
    task.awaits.push_back(other);
    task.awaited_call = {};
    task.waits_for = "task " + std::to_string(other);
  }
  void name_holders() {
    std::unordered_map<std::uint64_t, std::size_t> by_number;
    for (std::size_t i = 0; i < flows_.size(); ++i)
      if (const auto number = flows_[i]->number_or_zero(); number != 0)
        by_number.emplace(number, i);
    for (auto& task : found_.tasks) {
      const auto at = task.held_by != 0 ? by_number.find(task.held_by) : by_number.end();
      if (at == by_number.end()) continue;
      task.awaits.push_back(at->second);
      task.waits_for += " that task " + std::to_string(at->second) + " holds";
    }
  }
  bool add(const context& flow) {
    if (flows_.size() == loop_tasks::most) {
      ++found_.more;
      return false;
    }
    flows_.push_back(&flow);
    auto& record = found_.tasks.emplace_back();
    record.name = flow.own_name();
    record.origin.where = flow.where();
    return true;
  }
  void visit(const context& child) override {
    const std::size_t index = flows_.size();
    if (add(child)) found_.tasks[present_].awaits.push_back(index);
  }
  void look_into(const context& flow) {
    const waiter* wait = flow.waiting();
    if (wait == nullptr) return;
    auto& record = found_.tasks[present_];
    record.suspended = true;
    record.waits_for = wait->waits_for();
    record.ends_from_within = wait->ends_from_within();
    record.awaited = wait->awaited_state();
    record.held_by = wait->held_by();
    if (record.awaited != nullptr) record.awaited_call = origin_copy(record.awaited->identity());
    read_coroutines(record, *wait);
    wait->visit_children(*this);  // may move the records
  }
  static void read_coroutines(task_record& record, const waiter& wait) {
    auto& codes = record.coroutines;
    task_promise_base::link at{wait.frame(), wait.has_linked_frame()};
    while (at.frame != nullptr) {
      if (codes.size() == most_coroutines) {  // the last place is the outermost's
        ++record.more_coroutines;
        codes.pop_back();
      }
      codes.push_back(code_of_frame(at.frame));
      if (!at.linked) break;
      at = promise_of(at.frame).awaited_by();
    }
    std::reverse(codes.begin(), codes.end());
    if (record.origin.code == nullptr && !codes.empty()) record.origin.code = codes.front();
  }

  loop_tasks found_;
  std::vector<const context*> flows_;
  std::size_t present_ = 0;
};

void write_task(inspection& into, std::size_t index, const task_record& task) {
  auto& out = into.out;
  const auto number = [](std::size_t n) { return static_cast<std::int64_t>(n); };
  out.begin_object();
  out.field("id", number(index));
  job_origin named = task.origin;
  named.name = task.name.c_str();
  out.field("name", into.names.label(named));
  out.field("state", task.suspended ? "suspended" : "ready");
  if (task.awaited_call.where != nullptr) {
    out.field("waits_for", "call of " + into.names.label(task.awaited_call.view()));
    out.key("call_submitted");
    into.names.write(out, task.awaited_call.where);
  } else if (task.suspended) {
    out.field("waits_for", task.waits_for);
  }
  if (task.origin.where != nullptr) {
    out.key("spawned");
    into.names.write(out, task.origin.where);
  }
  out.key("coroutines").begin_array();
  for (const void* code : task.coroutines) into.names.write(out, code);
  out.end_array();
  if (task.more_coroutines != 0) out.field("more_coroutines", number(task.more_coroutines));
  out.key("awaits").begin_array();
  for (const std::size_t other : task.awaits) out.number(number(other));
  out.end_array();
  out.end_object();
}

void write_tasks(inspection& into, const loop_tasks& found) {
  into.out.key("tasks").begin_array();
  for (std::size_t i = 0; i < found.tasks.size(); ++i) write_task(into, i, found.tasks[i]);
  into.out.end_array();
  into.out.field("more_tasks", static_cast<std::int64_t>(found.more));
}

}  // namespace

loop_tasks read_tasks(spawned_task* live) { return reader().read(live); }

bool all_end_from_within(const loop_tasks& found) noexcept {
  return found.more == 0 && !found.tasks.empty() &&
         std::all_of(found.tasks.begin(), found.tasks.end(),
                     [](const task_record& t) { return t.suspended && t.ends_from_within; });
}

// Who asks runs inside the loop: as a job of its own, or in a task, which then is not suspended.
loop_tasks loop_view::read() const {
  loop_tasks found = read_tasks(live_);
  found.stuck = timers_.empty() && queue_.ready.empty() && all_end_from_within(found);
  return found;
}

namespace {
const void* outermost_code(const void* frame, bool linked) noexcept {
  task_promise_base::link at{frame, linked};
  for (std::size_t i = 0; i < most_coroutines && at.linked; ++i) {
    const auto outer = promise_of(at.frame).awaited_by();
    if (outer.frame == nullptr) break;
    at = outer;
  }
  return code_of_frame(at.frame);
}
}  // namespace

job_origin waiter::origin() const noexcept {
  return {.name = flow().own_name().data(),
          .code = outermost_code(frame(), has_linked_frame()),
          .where = flow().where()};
}

void trace_life(trace_record::kind what, const spawned_task& task) noexcept {
  trace_record record;
  record.what = what;
  record.began = monotonic_time();
  record.task = &task;
  // At its end the frame has no code any more; the trace knows the task by its address.
  if (what == trace_record::kind::task_begins) record.origin = origin_copy(task.origin());
  add_to_trace(record);
}

// Shared by who asks and the job that answers; whoever is last frees it.
struct loop_view::question {
  std::mutex mutex;
  std::condition_variable changed;
  enum { open, answered, given_up } state = open;
  loop_tasks answer;
};

void loop_view::describe(inspection& into) {
  struct asking final : job {
    explicit asking(std::shared_ptr<question> s, loop_view& v) : shared(std::move(s)), view(v) {}
    void run() noexcept override {
      {
        const std::lock_guard hold(shared->mutex);
        if (shared->state == question::open) {
          try {
            shared->answer = view.read();
          } catch (...) {  // no memory: what there is of an answer is one
          }
          shared->state = question::answered;
          shared->changed.notify_one();
        }
      }
      delete this;
    }
    void drop() noexcept override { delete this; }
    std::shared_ptr<question> shared;
    loop_view& view;
  };
  const auto shared = std::make_shared<question>();
  const char* state = "not running";
  activity::snapshot seen;
  if (loop_.is_current()) {
    shared->answer = read();
    shared->state = question::answered;
  } else if (thread_.load(std::memory_order_acquire) != 0) {
    auto* ask = new asking(shared, *this);
    if (!loop_.deliver(*ask)) ask->drop();
    std::unique_lock hold(shared->mutex);
    if (!shared->changed.wait_for(hold, patience,
                                  [&] { return shared->state == question::answered; })) {
      shared->state = question::given_up;
      state = "blocked";
      seen = running_.read();
    }
  }
  if (shared->state == question::answered) state = "running";
  auto& out = into.out;
  out.begin_object();
  out.field("thread", thread_.load(std::memory_order_relaxed));
  out.field("state", state);
  if (shared->state == question::given_up)
    write_thread_state(into, thread_.load(std::memory_order_relaxed));
  if (seen.running) write_run(into, seen);
  if (shared->answer.stuck) out.field("stuck", "its tasks wait for each other");
  write_tasks(into, shared->answer);
  out.end_object();
}

}  // namespace plait::detail

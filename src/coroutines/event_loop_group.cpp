#include "plait/coroutines/event_loop_group.hpp"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <mutex>
#include <thread>

#include "plait/threads/cpu_count.hpp"

namespace plait {
namespace detail {

// What the handle and the threads share. It outlives the handle if a task of the group destroys
// that: then the threads end by themselves, and the last one takes the loops along.
class loop_group_engine final : public call_home {
 public:
  explicit loop_group_engine(const event_loop_group_options& options);
  loop_group_engine(const loop_group_engine&) = delete;
  loop_group_engine& operator=(const loop_group_engine&) = delete;

  void release() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
  std::deque<event_loop>& loops() noexcept { return loops_; }
  event_loop& next() noexcept {
    return loops_[turn_.fetch_add(1, std::memory_order_relaxed) % loops_.size()];
  }
  // The group's loop that runs on this thread, or null.
  event_loop* own_loop() noexcept;

  // Between try_enter() and leave() no loop is shut down: who submits counts itself and then looks
  // at the flag, who shuts down sets the flag and then waits until nobody is counted.
  bool try_enter() noexcept {
    entered_.fetch_add(1, std::memory_order_seq_cst);
    if (!refusing()) return true;
    leave();
    return false;
  }
  void leave() noexcept { entered_.fetch_sub(1, std::memory_order_release); }
  bool refusing() const noexcept { return refusing_.load(std::memory_order_seq_cst); }

  void begin_shutdown(shutdown_options options);
  void join();
  void detach();

 private:
  ~loop_group_engine() = default;
  void start(std::size_t index, const std::string& name_prefix);

  std::deque<event_loop> loops_;
  std::vector<std::thread> threads_;  // guarded by ending_, once they have started
  std::mutex ending_;
  std::atomic<std::size_t> references_{1};
  std::atomic<std::size_t> turn_{0}, entered_{0};
  std::atomic<bool> refusing_{false};
};

loop_group_engine::loop_group_engine(const event_loop_group_options& options) {
  const std::size_t count = options.loops != 0 ? options.loops : usable_cpu_count();
  for (std::size_t i = 0; i < count; ++i)
    loops_.emplace_back(event_loop_options{.poller = options.poller});
  try {
    for (std::size_t i = 0; i < count; ++i) start(i, options.thread_name_prefix);
  } catch (...) {  // no more threads: the loops have nothing to do yet
    begin_shutdown({});
    join();
    throw;
  }
}

void loop_group_engine::start(std::size_t index, const std::string& name_prefix) {
  const std::string number = '-' + std::to_string(index);
  std::string name = name_prefix.substr(0, 15 - std::min<std::size_t>(15, number.size())) + number;
  references_.fetch_add(1, std::memory_order_relaxed);
  try {
    threads_.emplace_back([this, index, name = std::move(name)] {
      pthread_setname_np(pthread_self(), name.c_str());
      loops_[index].run();
      release();
    });
  } catch (...) {
    references_.fetch_sub(1, std::memory_order_relaxed);
    throw;
  }
}

event_loop* loop_group_engine::own_loop() noexcept {
  event_loop* const current = event_loop::current_or_null();
  for (event_loop& loop : loops_)
    if (&loop == current) return current;
  return nullptr;
}

void loop_group_engine::begin_shutdown(shutdown_options options) {
  refusing_.store(true, std::memory_order_seq_cst);
  while (entered_.load(std::memory_order_seq_cst) != 0) std::this_thread::yield();
  for (event_loop& loop : loops_) loop.shutdown(options);
}

void loop_group_engine::join() {
  const std::lock_guard hold(ending_);
  for (std::thread& thread : threads_)
    if (thread.joinable()) thread.join();
}

void loop_group_engine::detach() {
  const std::lock_guard hold(ending_);
  for (std::thread& thread : threads_)
    if (thread.joinable()) thread.detach();
}

}  // namespace detail

event_loop_group::event_loop_group(event_loop_group_options options)
    : event_loop_group(new detail::loop_group_engine(options)) {}

event_loop_group::event_loop_group(detail::loop_group_engine* engine) noexcept
    : local_executor(*engine), engine_(engine) {}

event_loop_group::~event_loop_group() {
  if (!engine_->refusing())
    engine_->begin_shutdown({.pending = shutdown_options::pending_calls::cancel});
  if (engine_->own_loop() != nullptr) {
    engine_->detach();
  } else {
    engine_->join();
  }
  engine_->release();
}

std::size_t event_loop_group::size() const noexcept { return engine_->loops().size(); }
event_loop& event_loop_group::loop(std::size_t index) noexcept { return engine_->loops()[index]; }
event_loop& event_loop_group::next_loop() noexcept { return engine_->next(); }

void event_loop_group::shutdown(shutdown_options options) {
  engine_->begin_shutdown(options);
  if (engine_->own_loop() == nullptr) engine_->join();
}

event_loop_group::intake::intake(detail::loop_group_engine& group, of what) : group_(group) {
  if (group.try_enter()) {
    loop_ = what == of::one_loop ? &group.next() : nullptr;
    return;
  }
  loop_ = group.own_loop();
  if (loop_ == nullptr || what == of::every_loop) throw executor_shutdown();
  entered_ = false;
}
event_loop_group::intake::~intake() {
  if (entered_) group_.leave();
}

event_loop_group::admission event_loop_group::admit(detail::job& job, const call_options& options) {
  if (engine_->try_enter()) {
    const admission answer = engine_->next().admit(job, options);
    engine_->leave();
    return answer;
  }
  event_loop* const own = engine_->own_loop();
  return own != nullptr ? own->admit(job, options) : admission::closed;
}

std::size_t event_loop_group::default_window() const noexcept { return 1024 * size(); }

}  // namespace plait

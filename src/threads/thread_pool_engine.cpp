#include "threads/thread_pool_engine.hpp"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "core/relax.hpp"
#include "plait/threads/cpu_count.hpp"
#include "threads/wait_graph.hpp"
#include "threads/worker.hpp"

namespace plait::detail {
namespace {

using sizing = thread_pool_options::sizing;

std::size_t wanted_workers(const thread_pool_options& o, std::size_t cpus) {
  if (o.max_workers != 0) return o.max_workers;
  return o.size == sizing::elastic ? 256 : cpus;
}

// Pools whose handle was destroyed by one of their own calls. The last thread of each is joined at
// the program's end, which waits for them: their calls may use static objects.
class orphanage {
 public:
  ~orphanage() {
    std::unique_lock hold(mutex_);
    buried_.wait(hold, [&] { return ended_.size() == orphans_; });
    for (auto& t : ended_) t.join();
  }
  void adopt() {
    const std::lock_guard hold(mutex_);
    ++orphans_;
    ended_.reserve(orphans_);  // so that bury() need not allocate
  }
  void bury(std::thread last) noexcept {
    const std::lock_guard hold(mutex_);
    ended_.push_back(std::move(last));
    buried_.notify_one();
  }

 private:
  std::mutex mutex_;
  std::condition_variable buried_;
  std::size_t orphans_ = 0;
  std::vector<std::thread> ended_;
};
orphanage& orphans() {
  static orphanage instance;
  return instance;
}

}  // namespace

thread_local constinit thread_pool_engine::worker* thread_pool_engine::current_ = nullptr;

thread_pool_engine::thread_pool_engine(thread_pool_options o, std::shared_ptr<pool_watcher> watcher)
    : inspected(engine_kind::thread_pool),
      options_(std::move(o)),
      watcher_(std::move(watcher)),
      grows_(watcher_ != nullptr || options_.size == sizing::elastic),
      cpus_(usable_cpu_count()),
      base_(options_.size == sizing::elastic ? std::min(cpus_, wanted_workers(options_, cpus_))
                                             : wanted_workers(options_, cpus_)),
      most_(wanted_workers(options_, cpus_)),
      limit_(base_),
      capacity_(std::max<std::size_t>(2 * most_, 1024)),
      slots_(new std::atomic<worker*>[capacity_]()),
      growth_(*this) {
  std::unique_lock hold(threads_);
  start_thread(hold);  // the first one here, where a failure can still be told
  inspected::enter();
}

void thread_pool_engine::dispose(thread_pool_engine* engine) noexcept {
  if (!engine->is_current()) {
    engine->shutdown({});
    delete engine;
    return;
  }
  orphans().adopt();
  engine->growth_.stop();
  {
    const std::lock_guard hold(engine->threads_);
    engine->orphaned_ = true;
  }
  engine->shutdown({});
}

thread_pool_engine::~thread_pool_engine() {
  inspected::leave();
  for (std::size_t i = 0; i < slots_used_; ++i) delete slots_[i].load();
}

// --- How calls come in ----------------------------------------------------------------------------

thread_pool_engine::answer thread_pool_engine::post(job& j, const call_options& how) {
  if (options_.max_pending != 0) [[unlikely]]
    if (const answer a = take_room(j, how); a != answer::accepted) return a;
  if (!(is_current() ? enqueue_own(j, how)
                     : injected_.push(j, how.priority, injection_queue::origin::outside)))
      [[unlikely]]
    return refuse(j);
  call_for_help();
  return answer::accepted;
}

inline bool thread_pool_engine::enqueue_own(job& j, const call_options& how) noexcept {
  if (cancelling_.load(std::memory_order_relaxed)) return false;
  if (how.priority == call_priority::normal && current_->deque.push(j)) [[likely]]
    return true;
  return injected_.push(j, how.priority, injection_queue::origin::running_call);
}

thread_pool_engine::answer thread_pool_engine::take_room(job& j, const call_options& how) {
  const bool own = is_current();
  for (auto n = pending_.load();;) {
    if (!own && n >= options_.max_pending) {
      if (closed_.load() || how.if_full == call_options::full_queue::refuse ||
          options_.if_full == thread_pool_options::full_queue::refuse)
        return closed_.load() ? answer::closed : answer::full;
      try {
        wait_for_room();
      } catch (...) {
        j.drop();
        throw;
      }
      n = pending_.load();
    } else if (pending_.compare_exchange_weak(n, n + 1)) {
      return answer::accepted;
    }
  }
}

// The pool is closed; a broken one says why.
thread_pool_engine::answer thread_pool_engine::refuse(job& j) {
  if (options_.max_pending != 0) left_queue();
  std::unique_lock hold(threads_);
  if (broken_ == nullptr) return answer::closed;
  const std::exception_ptr reason = broken_;
  hold.unlock();
  j.drop();  // not fail(): the caller hears of it here, and nobody need hear of it again
  std::rethrow_exception(reason);
}

void thread_pool_engine::wait_for_room() {
  const blocking_scope scope(nullptr);  // an event loop's thread must not wait here
  std::unique_lock hold(room_);
  room_made_.wait(hold, [&] { return closed_ || pending_.load() < options_.max_pending; });
}

void thread_pool_engine::left_queue() noexcept {
  if (pending_.fetch_sub(1) == options_.max_pending) tell_of_room();
}

void thread_pool_engine::tell_of_room() noexcept {
  const std::lock_guard hold(room_);
  room_made_.notify_all();
}

// --- How many -------------------------------------------------------------------------------------

bool thread_pool_engine::has_work() const noexcept {
  if (!injected_.empty()) return true;
  const std::size_t n = slots_used_.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < n; ++i) {
    const worker* w = slots_[i].load(std::memory_order_acquire);
    if (w != nullptr && !w->deque.empty()) return true;
  }
  return false;
}

void thread_pool_engine::bring_help() noexcept {
  if (active() >= limit_.load(std::memory_order_seq_cst)) {
    if (watcher_ != nullptr) {
      watcher_->backlog();
    } else if (grows_) {
      growth_.backlog();
    }
    return;
  }
  if (!parked_.wake_one()) start_worker();
}

void thread_pool_engine::start_worker() noexcept {
  try {
    std::unique_lock hold(threads_);
    if (!ended_ && active() < limit_ && parked_.parked() == 0) start_thread(hold);
  } catch (...) {  // no more threads or memory to be had: those that run will do the work
  }
}

void thread_pool_engine::start_thread(std::unique_lock<std::mutex>&) {
  std::size_t slot = slots_used_.load(std::memory_order_relaxed);
  if (!free_slots_.empty()) {
    slot = free_slots_.back();
  } else if (slot == capacity_) {
    throw std::length_error("no room for another worker");
  }
  worker* w = slots_[slot].load(std::memory_order_relaxed);
  if (w == nullptr) {
    w = new worker(*this, slot);
    slots_[slot].store(w, std::memory_order_release);
    slots_used_.store(slot + 1, std::memory_order_release);
    free_slots_.push_back(slot);
    free_slots_.reserve(slot + 1);  // so that a thread that ends need not allocate
  } else if (w->thread.joinable()) {
    w->thread.join();  // it gave the slot back as the last thing it did
  }
  alive_.fetch_add(1, std::memory_order_seq_cst);
  parked_.begin_search();
  try {
    w->thread = std::thread([this, w] { work(*w); });
  } catch (...) {
    parked_.end_search();
    alive_.fetch_sub(1, std::memory_order_seq_cst);
    throw;
  }
  free_slots_.pop_back();
}

void thread_pool_engine::resize(std::size_t n) {
  if (n == 0 || n > capacity_)
    throw std::invalid_argument("thread_pool_executor: resize() takes 1 to " +
                                std::to_string(capacity_));
  const std::size_t before = limit_.load(std::memory_order_relaxed);
  most_.store(n, std::memory_order_relaxed);
  limit_.store(options_.size == sizing::elastic ? std::min(cpus_, n) : n,
               std::memory_order_seq_cst);
  if (!has_work()) return;
  call_for_help();
  // Where each new thread calls the next, a wide step takes its time on a busy machine.
  if (watcher_ != nullptr)
    for (std::size_t i = before; i < n && active() < n && has_work(); ++i) bring_help();
}

// --- A worker's life ------------------------------------------------------------------------------

void thread_pool_engine::work(worker& self) noexcept {
  const std::string name =
      options_.thread_name_prefix.substr(0, 10) + "-" + std::to_string(self.slot);
  pthread_setname_np(pthread_self(), name.c_str());
  self.tid = static_cast<int>(syscall(SYS_gettid));
  current_ = &self;
  blocking_policy::exchange(this);
  call_home::exchange_current(this);
  if (!initialize()) return end(self);
  for (;;) {  // each turn begins as a searcher
    if (active() <= limit_.load(std::memory_order_relaxed)) {
      if (job* found = search(self)) {
        if (parked_.end_search() && has_work()) call_for_help();
        run_from(self, found);
        parked_.begin_search();
        continue;
      }
    }
    switch (park(self)) {
      case after_park::searching:
        break;
      case after_park::ended:
        return end(self);
      case after_park::gone:
        return;
    }
  }
}

bool thread_pool_engine::initialize() noexcept {
  try {
    options_.initializer();
    return true;
  } catch (...) {
    break_pool(std::current_exception());
    parked_.end_search();
    return false;
  }
}

// Jobs, as long as there are any and this thread is not one too many.
void thread_pool_engine::run_from(worker& self, job* found) noexcept {
  self.busy.store(true, std::memory_order_relaxed);
  while (found != nullptr) {
    if (options_.max_pending != 0) [[unlikely]]
      left_queue();
    if (watched()) [[unlikely]] {
      run_watched(self, *found);
    } else {
      run(*found);
    }
    self.count_done();
    found = active() > limit_.load(std::memory_order_relaxed) ? nullptr : next(self);
  }
  self.busy.store(false, std::memory_order_relaxed);
}

thread_pool_engine::after_park thread_pool_engine::park(worker& self) noexcept {
  parked_.prepare();
  if (has_work() && active() < limit_.load(std::memory_order_seq_cst)) {
    parked_.abandon();
  } else if (is_over()) {
    ended_.store(true, std::memory_order_seq_cst);
    parked_.wake_all();
    if (!parked_.sleep(duration::zero())) return after_park::ended;
  } else if (!parked_.sleep(idles_away() ? options_.idle_timeout : duration::max())) {
    if (retire(self)) return after_park::gone;
    parked_.begin_search();
  }
  if (!ended_.load(std::memory_order_seq_cst)) return after_park::searching;
  parked_.end_search();
  return after_park::ended;
}

bool thread_pool_engine::idles_away() const noexcept {
  return alive_.load(std::memory_order_relaxed) > base_;
}

// Asked by a worker that is neither parked nor searching: ends the thread if it is not needed.
bool thread_pool_engine::retire(worker& self) noexcept {
  std::unique_lock hold(threads_);
  if (!idles_away() || ended_.load(std::memory_order_seq_cst)) return false;
  // Whoever posted before this counted on a thread that was awake; whoever posts after it does not.
  alive_.fetch_sub(1, std::memory_order_seq_cst);
  if (has_work()) {
    alive_.fetch_add(1, std::memory_order_seq_cst);
    return false;
  }
  if (options_.size == sizing::elastic)
    limit_.store(std::clamp(alive_.load(), base_, limit_.load()), std::memory_order_seq_cst);
  last_rites(self, std::move(hold), false);
  return true;
}

void thread_pool_engine::end(worker& self) noexcept {
  std::unique_lock hold(threads_);
  const bool is_last = alive_.fetch_sub(1, std::memory_order_seq_cst) == 1;
  last_rites(self, std::move(hold), is_last);
}

// The last thing a thread does, which has counted itself out. The last thread of a pool without a handle
// deletes the pool.
void thread_pool_engine::last_rites(worker& self, std::unique_lock<std::mutex> hold,
                                    bool is_last) noexcept {
  current_ = nullptr;
  blocking_policy::exchange(nullptr);
  call_home::exchange_current(nullptr);
  while (job* j = self.deque.pop())
    injected_.push(*j, call_priority::normal, injection_queue::origin::running_call);
  free_slots_.push_back(self.slot);
  self.tid.store(0, std::memory_order_relaxed);
  if (!is_last || !orphaned_) {
    // Those that count the parked against the alive must count again.
    if (closed_.load(std::memory_order_seq_cst)) parked_.wake_all();
    thread_ended_.notify_all();
    return;
  }
  std::thread me = std::move(self.thread);
  hold.unlock();
  join_all();
  delete this;
  orphans().bury(std::move(me));
}

// For a while, then gives up: a job that comes soon is taken without a system call. Only as many
// threads as there are CPUs look for long.
job* thread_pool_engine::search(worker& self) noexcept {
  for (int round = 0; round < search_rounds; ++round) {
    if (job* found = next(self)) return found;
    if (parked_.searching() > cpus_) return nullptr;
    for (int i = 0; i < 32; ++i) relax();
  }
  return nullptr;
}

job* thread_pool_engine::next(worker& self) noexcept {
  if (job* urgent = injected_.take_urgent()) return urgent;
  if (job* own = self.deque.pop()) return own;
  if (job* batch = injected_.take(self.deque, alive_.load(std::memory_order_relaxed))) return batch;
  const std::size_t n = slots_used_.load(std::memory_order_acquire);
  for (std::size_t i = 1; i < n; ++i) {
    worker* victim = slots_[(self.slot + i) % n].load(std::memory_order_acquire);
    if (victim == nullptr) continue;
    if (job* stolen = victim->deque.steal()) {
      self.steals.store(self.steals.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
      return stolen;
    }
  }
  return nullptr;
}

bool thread_pool_engine::take_back(job& j) noexcept {
  worker& self = *current_;
  if (!self.deque.pop_if(j)) return false;
  self.count_done();  // its waiter runs it, and run_from does not see it
  if (options_.max_pending != 0) [[unlikely]]
    left_queue();
  return true;
}

// --- A worker that waits --------------------------------------------------------------------------

void thread_pool_engine::before_block(const state_base* awaited) {
  wait_graph::enter(awaited);
  blocked_.fetch_add(1, std::memory_order_seq_cst);
  if (!has_work()) return;  // work that comes later finds this thread counted as blocked
  call_for_help();
  if (alive_.load(std::memory_order_seq_cst) > blocked_.load(std::memory_order_seq_cst)) return;
  start_worker();
  if (alive_.load(std::memory_order_seq_cst) > blocked_.load(std::memory_order_seq_cst)) return;
  after_block();
  throw would_deadlock(
      "every worker of the pool waits, calls are queued, and the system has no "
      "thread to spare for them");
}

void thread_pool_engine::after_block() noexcept {
  blocked_.fetch_sub(1, std::memory_order_seq_cst);
  wait_graph::leave();
}

void thread_pool_engine::enter(stoppable_call& c) noexcept {
  const std::lock_guard hold(stoppables_);
  c.previous_running = nullptr;
  c.next_running = stoppable_;
  if (stoppable_ != nullptr) stoppable_->previous_running = &c;
  stoppable_ = &c;
}

void thread_pool_engine::leave(stoppable_call& c) noexcept {
  const std::lock_guard hold(stoppables_);
  (c.previous_running != nullptr ? c.previous_running->next_running : stoppable_) = c.next_running;
  if (c.next_running != nullptr) c.next_running->previous_running = c.previous_running;
}

thread_pool_statistics thread_pool_engine::statistics() const noexcept {
  thread_pool_statistics s{.workers = alive_.load(),
                           .idle = parked_.parked(),
                           .blocked = blocked_.load(),
                           .queued = injected_.size(),
                           .running = 0,
                           .done = 0,
                           .steals = 0};
  const std::size_t n = slots_used_.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < n; ++i) {
    const worker& w = *slots_[i].load(std::memory_order_acquire);
    s.queued += static_cast<std::size_t>(w.deque.size());
    s.running += w.busy.load(std::memory_order_relaxed);
    s.done += w.done.load(std::memory_order_relaxed);
    s.steals += w.steals.load(std::memory_order_relaxed);
  }
  return s;
}

}  // namespace plait::detail

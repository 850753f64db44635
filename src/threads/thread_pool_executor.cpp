#include "plait/threads/thread_pool_executor.hpp"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "plait/threads/cpu_count.hpp"
#include "threads/parking.hpp"
#include "threads/work_deque.hpp"

namespace plait {

using detail::job;

// One thread and the jobs it has taken but not begun.
struct thread_pool_executor::worker {
  explicit worker(engine& e) noexcept : home(e) {}
  engine& home;
  detail::work_deque deque;
  std::thread thread;
};

namespace {

// Jobs from outside, first in first out. Taken in batches, so that the lock is rarely contended.
class injection_queue {
 public:
  // From outside: false when closed. What a running call submits is part of what shutdown() waits
  // for, so it is let in.
  enum class origin { outside, running_call };
  bool push(job& j, origin from) noexcept {
    j.next = nullptr;
    const std::lock_guard hold(mutex_);
    if (closed_ && from == origin::outside) return false;
    *tail_ = &j;
    tail_ = &j.next;
    size_.store(size_.load(std::memory_order_relaxed) + 1, std::memory_order_seq_cst);
    return true;
  }
  // Returns the oldest, and pushes up to `more` behind it onto `to`, so that they pop in order.
  job* take(detail::work_deque& to, std::size_t workers) noexcept {
    if (size() == 0) return nullptr;
    job* batch[max_batch];
    std::size_t n = 0;
    {
      const std::lock_guard hold(mutex_);
      const std::size_t available = size_.load(std::memory_order_relaxed);
      // A worker may come here before it is counted among the workers.
      n = std::min({available, max_batch, available / (2 * std::max<std::size_t>(workers, 1)) + 1});
      for (std::size_t i = 0; i < n; ++i) batch[i] = unlink();
    }
    if (n == 0) return nullptr;
    for (std::size_t i = n; i-- > 1;) to.push(*batch[i]);  // `to` is empty: there is room
    return batch[0];
  }
  job* take_one() noexcept {
    const std::lock_guard hold(mutex_);
    return unlink();
  }
  void close() noexcept {
    const std::lock_guard hold(mutex_);
    closed_ = true;
  }
  std::size_t size() const noexcept { return size_.load(std::memory_order_seq_cst); }

 private:
  static constexpr std::size_t max_batch = 64;
  job* unlink() noexcept {
    job* first = head_;
    if (first == nullptr) return nullptr;
    head_ = first->next;
    if (head_ == nullptr) tail_ = &head_;
    size_.store(size_.load(std::memory_order_relaxed) - 1, std::memory_order_seq_cst);
    return first;
  }
  std::mutex mutex_;
  bool closed_ = false;
  job* head_ = nullptr;
  job** tail_ = &head_;
  std::atomic<std::size_t> size_{0};
};

inline void relax() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

struct thread_pool_executor::engine {
  explicit engine(thread_pool_options o)
      : options(std::move(o)),
        limit(options.max_workers != 0 ? options.max_workers : usable_cpu_count()),
        workers(new std::unique_ptr<worker>[limit]) {
    start_worker();  // the first one here, where a failure can still be told
  }

  bool post(job& j) noexcept {
    if (current != nullptr && &current->home == this) {
      if (cancelling.load(std::memory_order_relaxed)) return false;
      if (!current->deque.push(j)) injected.push(j, injection_queue::origin::running_call);
    } else if (!injected.push(j, injection_queue::origin::outside)) {
      return false;
    }
    if (is_short_of_workers()) try_start_worker();
    parked.notify();
    return true;
  }
  bool is_short_of_workers() const noexcept {
    return started.load(std::memory_order_relaxed) < limit && parked.parked() == 0;
  }

  // Adds a thread if the limit allows; throws std::system_error if the machine does not.
  void start_worker() {
    const std::lock_guard hold(starting);
    const std::size_t index = started.load(std::memory_order_relaxed);
    if (index >= limit || closing) return;
    auto fresh = std::make_unique<worker>(*this);
    parked.begin_search();
    try {
      fresh->thread = std::thread([this, w = fresh.get(), index] { work(*w, index); });
    } catch (...) {
      parked.end_search();
      throw;
    }
    workers[index] = std::move(fresh);
    started.store(index + 1, std::memory_order_release);
  }
  void try_start_worker() noexcept {
    try {
      start_worker();
    } catch (...) {  // no more threads to be had: those that run will do the work
    }
  }

  void work(worker& self, std::size_t index) noexcept {
    const std::string name = options.thread_name_prefix.substr(0, 10) + "-" + std::to_string(index);
    pthread_setname_np(pthread_self(), name.c_str());
    current = &self;
    for (;;) {  // each turn begins as a searcher
      job* found = search(self, index);
      if (found == nullptr) {
        parked.prepare();
        if (has_work()) {
          parked.abandon();
        } else if (is_over()) {
          ended.store(true, std::memory_order_seq_cst);
          parked.wake_all();
        } else {
          parked.sleep();
        }
        if (ended.load(std::memory_order_seq_cst)) break;
        continue;
      }
      parked.end_search();
      // A post that met us between parked and awake took us for a sleeper whom it could wake.
      if (is_short_of_workers() && has_work()) try_start_worker();
      for (; found != nullptr; found = next(self, index)) found->run();
      parked.begin_search();
    }
    current = nullptr;
  }

  // Asked by a parked worker: nothing comes from outside, nobody runs a call that could submit, and
  // nothing is queued. (A worker that left earlier would be missed by a call that waits for what it
  // has submitted.) Parked is asked twice: a worker may have taken the last job in between.
  bool is_over() const noexcept {
    return closed.load(std::memory_order_seq_cst) && is_everyone_parked() && !has_work() &&
           is_everyone_parked();
  }
  bool is_everyone_parked() const noexcept {
    return parked.parked() == started.load(std::memory_order_acquire);
  }

  // For a while, then gives up: a job that comes soon is taken without a system call.
  job* search(worker& self, std::size_t index) noexcept {
    for (int round = 0; round < search_rounds; ++round) {
      if (job* found = next(self, index)) return found;
      for (int i = 0; i < 32; ++i) relax();
    }
    return nullptr;
  }
  job* next(worker& self, std::size_t index) noexcept {
    if (job* own = self.deque.pop()) return own;
    const std::size_t n = started.load(std::memory_order_acquire);
    if (job* injected_job = injected.take(self.deque, n)) return injected_job;
    for (std::size_t i = 1; i < n; ++i)
      if (job* stolen = workers[(index + i) % n]->deque.steal()) return stolen;
    return nullptr;
  }
  bool has_work() const noexcept {
    if (injected.size() != 0) return true;
    const std::size_t n = started.load(std::memory_order_acquire);
    for (std::size_t i = 0; i < n; ++i)
      if (!workers[i]->deque.empty()) return true;
    return false;
  }

  void shutdown(shutdown_options how) noexcept {
    {
      const std::lock_guard hold(starting);
      closing = true;  // no thread is started from here on, so `workers` stands still
    }
    injected.close();
    if (how.pending == shutdown_options::pending_calls::cancel) {
      cancelling.store(true, std::memory_order_seq_cst);
      drop_all();
    }
    closed.store(true, std::memory_order_seq_cst);
    parked.wake_all();
    if (current != nullptr && &current->home == this) return;  // a worker cannot wait for itself
    const std::lock_guard hold(joining);
    for (std::size_t i = 0; i < started.load(std::memory_order_acquire); ++i)
      if (workers[i]->thread.joinable()) workers[i]->thread.join();
  }
  void drop_all() noexcept {
    while (job* j = injected.take_one()) j->drop();
    for (std::size_t i = 0; i < started.load(std::memory_order_acquire); ++i)
      while (!workers[i]->deque.empty())
        if (job* j = workers[i]->deque.steal()) j->drop();
  }

  static constexpr int search_rounds = 64;
  static thread_local worker* current;

  const thread_pool_options options;
  const std::size_t limit;
  injection_queue injected;
  detail::parking parked;
  std::atomic<std::size_t> started{0};
  std::unique_ptr<std::unique_ptr<worker>[]> workers;
  std::mutex starting, joining;
  bool closing = false;                 // guarded by `starting`
  std::atomic<bool> closed{false};      // no calls from outside any more
  std::atomic<bool> cancelling{false};  // nor from calls that are running
  std::atomic<bool> ended{false};       // and none is running: the workers return
};

thread_local thread_pool_executor::worker* thread_pool_executor::engine::current = nullptr;

thread_pool_executor::thread_pool_executor(thread_pool_options options)
    : engine_(new engine(std::move(options))) {}

thread_pool_executor::~thread_pool_executor() {
  engine_->shutdown({});
  delete engine_;
}

void thread_pool_executor::shutdown(shutdown_options options) { engine_->shutdown(options); }
bool thread_pool_executor::post(job& j) noexcept { return engine_->post(j); }
bool thread_pool_executor::take_back(job& j) noexcept { return engine::current->deque.pop_if(j); }
std::size_t thread_pool_executor::default_window() const noexcept { return 32 * engine_->limit; }
std::size_t thread_pool_executor::max_workers() const noexcept { return engine_->limit; }

bool thread_pool_executor::is_current() const noexcept {
  return engine::current != nullptr && &engine::current->home == engine_;
}

thread_pool_statistics thread_pool_executor::statistics() const noexcept {
  const std::size_t n = engine_->started.load(std::memory_order_acquire);
  std::size_t queued = engine_->injected.size();
  for (std::size_t i = 0; i < n; ++i)
    queued += static_cast<std::size_t>(engine_->workers[i]->deque.size());
  return {.workers = n, .idle = engine_->parked.parked(), .queued = queued};
}

void thread_pool_executor::refuse_count() {
  throw std::invalid_argument("thread_pool_executor: max_workers must be at least 1");
}

thread_pool_executor& default_thread_pool() {
  static thread_pool_executor pool{
      {.max_workers = std::min<std::size_t>(32, usable_cpu_count() + 4),
       .thread_name_prefix = "plait-io"}};
  return pool;
}

}  // namespace plait

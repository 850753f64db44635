#include "processes/stop_watch.hpp"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <optional>

#include "plait/processes/this_call.hpp"
#include "processes/descriptor.hpp"

namespace plait::detail {
namespace {

// Of a worker; never destroyed, for its thread never ends.
struct stop_watch {
  explicit stop_watch(channel& c) noexcept : own(c) {}

  channel& own;
  const pid_t worker = getpid();
  std::atomic<std::uint32_t> running{0};  // sequence number of the call that runs or ran last
  std::atomic<bool> asked{false};         // that call has a source
  std::mutex mutex;
  std::optional<std::stop_source> source;
  bool has_thread = false;

  bool is_stopped() const noexcept {
    return own.pool.stop.load(std::memory_order_seq_cst) == 1 + running.load();
  }
  std::stop_token token() {
    std::unique_lock hold(mutex);
    if (!has_thread) start_thread();
    if (!source) {
      source.emplace();
      asked.store(true, std::memory_order_relaxed);
      own.hears.store(1 + running.load(), std::memory_order_seq_cst);
    }
    std::stop_source mine = *source;
    const bool at_once = is_stopped();  // asked for before anybody listened
    hold.unlock();
    if (at_once) mine.request_stop();
    return mine.get_token();
  }
  void end() noexcept {
    if (!asked.load(std::memory_order_relaxed)) return;
    const std::lock_guard hold(mutex);
    asked.store(false, std::memory_order_relaxed);
    source.reset();
  }

  // Handlers of the program's signals run on the threads that it knows.
  void start_thread() {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    const int error = pthread_create(
        &thread, nullptr, [](void* self) -> void* { static_cast<stop_watch*>(self)->watch(); },
        this);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (error != 0) {
      errno = error;
      throw_errno("cannot start the thread that hears of stops");
    }
    pthread_detach(thread);
    has_thread = true;
  }
  [[noreturn]] void watch() noexcept {
    pthread_setname_np(pthread_self(), "plait-stop");
    for (;;) {
      const std::uint32_t seen = own.pool.stop.load(std::memory_order_seq_cst);
      std::optional<std::stop_source> called;
      {
        const std::lock_guard hold(mutex);
        if (source && is_stopped()) called = source;
      }
      if (called) called->request_stop();  // its callbacks may end the call, or take long
      called.reset();
      futex_wait(own.pool.stop, seen);
    }
  }
};

stop_watch* watch_of_this_process = nullptr;

}  // namespace

void listen_for_stops(channel& own) noexcept { watch_of_this_process = new stop_watch(own); }
void begin_listening(std::uint32_t sequence) noexcept {
  watch_of_this_process->running.store(sequence, std::memory_order_relaxed);
}
void end_listening() noexcept { watch_of_this_process->end(); }

}  // namespace plait::detail

namespace plait {

std::stop_token this_call::stop_token() {
  auto* watch = detail::watch_of_this_process;
  if (watch == nullptr || watch->worker != getpid()) return {};  // a process that a call forked
  return watch->token();
}

}  // namespace plait

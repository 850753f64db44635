#include "inspect/stall_watch.hpp"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "inspect/symbols.hpp"
#include "inspect/thread_stack.hpp"
#include "inspect/thread_state.hpp"
#include "plait/inspect/stall.hpp"

namespace plait {
namespace {

std::string text_of(const stack_frame& f) {
  std::string text = f.function.empty() ? "?" : f.function;
  if (f.file.empty()) return text;
  char address[32];
  std::snprintf(address, sizeof address, "+0x%llx)", static_cast<unsigned long long>(f.address));
  return text + " (" + f.file.substr(f.file.rfind('/') + 1) + address;
}

void write_lines(const stall_report& stall) noexcept {
  try {
    std::string line = "plait: the loop on thread " + std::to_string(stall.thread) +
                       " does not turn: it has been running " +
                       (stall.task.empty() ? "something" : stall.task) + " for " +
                       detail::to_text(stall.running);
    if (!stall.kernel.empty()) line += ", " + stall.kernel;
    if (!stall.submitted.empty()) line += " (submitted in " + stall.submitted + ")";
    line += "\n";
    for (const auto& f : stall.stack) line += "    at " + text_of(f) + "\n";
    std::fwrite(line.data(), 1, line.size(), stderr);
  } catch (...) {
    std::fputs("plait: a loop does not turn (and no memory to say which)\n", stderr);
  }
}

std::atomic<stall_handler> handler{write_lines};

}  // namespace

stall_handler set_stall_handler(stall_handler next) noexcept {
  return handler.exchange(next != nullptr ? next : write_lines);
}

namespace detail {

class stall_watcher {
 public:
  // Never destroyed: loops of static duration outlive it otherwise.
  static stall_watcher& instance() {
    static stall_watcher& only = *new stall_watcher;
    return only;
  }

  void add(stall_watch& w) {
    const std::lock_guard hold(mutex_);
    if (first_ == nullptr) start();
    w.next_ = first_;
    if (first_ != nullptr) first_->previous_ = &w;
    first_ = &w;
    changed_.notify_one();
  }
  // After this the watcher does not touch it.
  void remove(stall_watch& w) noexcept {
    std::unique_lock hold(mutex_);
    (w.previous_ != nullptr ? w.previous_->next_ : first_) = w.next_;
    if (w.next_ != nullptr) w.next_->previous_ = w.previous_;
    if (first_ != nullptr) return;
    std::thread last = std::move(thread_);
    changed_.notify_one();
    hold.unlock();
    if (last.get_id() != std::this_thread::get_id()) return last.join();
    last.detach();  // the handler ended the last loop: it returns to a watcher with nothing to do
  }
  void wake(stall_watch& w) noexcept {
    const std::lock_guard hold(mutex_);
    w.quiet_.store(false, std::memory_order_relaxed);
    changed_.notify_one();
  }

 private:
  void start() {
    prepare_to_ask_for_stacks();
    sigset_t all, before;  // no handler of the program's signals runs on our thread
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      thread_ = std::thread([this, mine = ++generation_] { watch(mine); });
    } catch (...) {
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      throw;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  void watch(std::uint64_t mine) noexcept {
    pthread_setname_np(pthread_self(), "plait-stalls");
    symbols names;
    std::unique_lock hold(mutex_);
    while (first_ != nullptr && generation_ == mine) {
      std::int64_t pause = INT64_MAX;
      std::vector<found> stalls;
      for (stall_watch* w = first_; w != nullptr; w = w->next_)
        if (!w->quiet_.load(std::memory_order_relaxed)) pause = std::min(pause, look(*w, stalls));
      hold.unlock();
      for (const auto& f : stalls) tell(f, stack_of(f), names);
      hold.lock();
      if (first_ == nullptr || generation_ != mine) return;
      if (pause == INT64_MAX) {
        changed_.wait(hold,
                      [&] { return first_ == nullptr || generation_ != mine || !all_quiet(); });
      } else {
        changed_.wait_for(hold, std::chrono::nanoseconds(pause));
      }
    }
  }
  bool all_quiet() const noexcept {
    for (const stall_watch* w = first_; w != nullptr; w = w->next_)
      if (!w->quiet_.load(std::memory_order_relaxed)) return false;
    return true;
  }

  struct found {
    const stall_watch* watch;  // which may have gone: compared, not followed
    activity::snapshot run;
    int thread;
  };
  // How long until it is worth another look; INT64_MAX when the loop has become quiet.
  static std::int64_t look(stall_watch& w, std::vector<found>& stalls) noexcept {
    auto now = w.loop_.read();
    if (!now.running && now.runs == w.seen_) {
      w.quiet_.store(true, std::memory_order_relaxed);  // S2
      now = w.loop_.read();
      if (!now.running && now.runs == w.seen_) return INT64_MAX;
      w.quiet_.store(false, std::memory_order_relaxed);
    }
    w.seen_ = now.runs;
    if (!now.running || w.reported_ == now.runs) return w.after_ / 2 + 1;
    const std::int64_t left = w.after_ - (monotonic_time() - now.began);
    if (left > 0) return std::max(left, w.after_ / 8) + 1;
    w.reported_ = now.runs;
    try {
      stalls.push_back({&w, now, w.thread_.load(std::memory_order_relaxed)});
    } catch (...) {  // no memory to say so
    }
    return w.after_ / 2 + 1;
  }
  // Of the run that was found, and of no other that the thread began while it was asked.
  std::vector<const void*> stack_of(const found& f) noexcept {
    try {
      auto stack = stack_of_thread(f.thread);
      const std::lock_guard hold(mutex_);
      for (const stall_watch* w = first_; w != nullptr; w = w->next_) {
        if (w != f.watch) continue;
        const auto now = w->loop_.read();
        if (now.running && now.runs == f.run.runs) return stack;
      }
    } catch (...) {  // no memory to say so
    }
    return {};
  }
  static void tell(const found& f, const std::vector<const void*>& stack, symbols& names) noexcept {
    try {
      stall_report report{
          names.label(f.run.what.view()), "", duration(monotonic_time() - f.run.began), f.thread,
          thread_state(f.thread),         {}};
      if (f.run.what.where != nullptr) report.submitted = names.find(f.run.what.where).function;
      add_stack(report, stack, names);
      handler.load()(report);
    } catch (...) {  // no memory to say so
    }
  }

  // Down to the frame in which the loop runs something; those by which it does are not told.
  static void add_stack(stall_report& to, const std::vector<const void*>& stack, symbols& names) {
    constexpr std::string_view loop[] = {
        "plait::detail::loop_core::", "plait::detail::loop_view::", "plait::event_loop::run"};
    constexpr std::string_view step[] = {"plait::detail::", "std::__n4861::coroutine_handle<"};
    const auto begins_with = [](const std::string& function, const auto& any) {
      return std::any_of(std::begin(any), std::end(any),
                         [&](std::string_view p) { return function.starts_with(p); });
    };
    for (const void* code : stack) {
      const auto& place = names.find(code);
      if (begins_with(place.function, loop)) break;
      to.stack.push_back({place.function, place.file, place.address});
    }
    while (!to.stack.empty() && begins_with(to.stack.back().function, step)) to.stack.pop_back();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  stall_watch* first_ = nullptr;
  std::uint64_t generation_ = 0;
  std::thread thread_;
};

stall_watch::stall_watch(const activity& loop, const std::atomic<int>& thread, duration after)
    : loop_(loop), thread_(thread), after_(std::max<std::int64_t>(after.count(), 0)) {
  if (is_on()) stall_watcher::instance().add(*this);
}
stall_watch::~stall_watch() {
  if (is_on()) stall_watcher::instance().remove(*this);
}
void stall_watch::wake() noexcept { stall_watcher::instance().wake(*this); }

}  // namespace detail
}  // namespace plait

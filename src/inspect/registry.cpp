#include "inspect/registry.hpp"

#include <pthread.h>

#include <condition_variable>
#include <mutex>

#include "inspect/environment.hpp"
#include "inspect/thread_state.hpp"

namespace plait::detail {

// Never destroyed: engines of static duration outlive it otherwise.
class registry {
  using entry = inspected::entry;

 public:
  static registry& instance() noexcept {
    static registry& only = *new registry;
    return only;
  }

  void enter(entry& e) noexcept {
    const std::lock_guard hold(mutex_);
    e.number = ++entered_;
    e.previous = last_;
    (last_ != nullptr ? last_->next : first_) = &e;
    last_ = &e;
  }
  void leave(entry& e) noexcept {
    std::unique_lock hold(mutex_);
    (e.previous != nullptr ? e.previous->next : first_) = e.next;
    (e.next != nullptr ? e.next->previous : last_) = e.previous;
    unpinned_.wait(hold, [&] { return e.pins == 0; });
  }
  // The oldest of that kind that is younger than number `after`, pinned; null if there is none.
  entry* pin(inspected::engine_kind which, unsigned long after) noexcept {
    const std::lock_guard hold(mutex_);
    entry* e = first_;
    while (e != nullptr && (e->which != which || e->number <= after)) e = e->next;
    if (e != nullptr) ++e->pins;
    return e;
  }
  unsigned long unpin(entry& e) noexcept {
    const std::lock_guard hold(mutex_);
    --e.pins;
    unpinned_.notify_all();
    return e.number;
  }

 private:
  // A child that is forked while somebody looks must be able to make and end engines of its own.
  registry() {
    pthread_atfork([] { instance().mutex_.lock(); }, [] { instance().mutex_.unlock(); },
                   [] { instance().after_fork(); });
  }
  void after_fork() noexcept {
    for (entry* e = first_; e != nullptr; e = e->next) e->pins = 0;  // they looked elsewhere
    mutex_.unlock();
  }
  std::mutex mutex_;
  std::condition_variable unpinned_;
  entry *first_ = nullptr, *last_ = nullptr;
  unsigned long entered_ = 0;
};

void inspected::enter() noexcept {
  registry::instance().enter(entry_);
  heed_environment();
}
void inspected::leave() noexcept { registry::instance().leave(entry_); }

void write_run(inspection& into, const activity::snapshot& run) {
  const job_origin what = run.what.view();
  into.out.field("call", into.names.label(what));
  if (what.where != nullptr) {
    into.out.key("submitted");
    into.names.write(into.out, what.where);
  }
  into.out.key("seconds").seconds(monotonic_time() - run.began);
}

void write_thread_state(inspection& into, int tid) {
  if (const std::string state = thread_state(tid); !state.empty()) into.out.field("kernel", state);
}

void describe_all(inspected::engine_kind which, inspection& into) {
  unsigned long last = 0;
  while (inspected::entry* e = registry::instance().pin(which, last)) {
    struct unpin {
      ~unpin() { last = registry::instance().unpin(entry); }
      inspected::entry& entry;
      unsigned long& last;
    } const afterwards{*e, last};
    e->engine->describe(into);
  }
}

}  // namespace plait::detail

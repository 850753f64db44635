#include "threads/wait_graph.hpp"

#include <mutex>

namespace plait::detail::wait_graph {
namespace {

// One blocked thread. What it points to stands still while it is linked: its owner sleeps.
struct node {
  const state_base* awaited = nullptr;
  const running_call* innermost = nullptr;
  node *previous = nullptr, *next = nullptr;

  bool runs(const state_base& s) const noexcept {
    return innermost != nullptr && innermost->is_within(s);
  }
};

std::mutex mutex;
constinit node head;  // of the list of blocked threads; guarded by the mutex
thread_local constinit node this_thread;

const node* runner_of(const state_base& s) noexcept {
  const node* n = head.next;
  while (n != nullptr && !n->runs(s)) n = n->next;
  return n;
}

}  // namespace

void enter(const state_base* awaited) {
  node& self = this_thread;
  self.awaited = awaited;
  self.innermost = running_call::current();
  std::unique_lock hold(mutex);
  for (const state_base* s = awaited; s != nullptr;) {
    if (self.runs(*s)) {
      hold.unlock();
      throw would_deadlock("calls that wait for each other's results: this one for " +
                           awaited->describe());
    }
    const node* runner = runner_of(*s);
    s = runner != nullptr ? runner->awaited : nullptr;
  }
  self.previous = &head;
  self.next = head.next;
  if (self.next != nullptr) self.next->previous = &self;
  head.next = &self;
}

void leave() noexcept {
  node& self = this_thread;
  const std::lock_guard hold(mutex);
  self.previous->next = self.next;
  if (self.next != nullptr) self.next->previous = self.previous;
}

}  // namespace plait::detail::wait_graph

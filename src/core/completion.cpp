#include "plait/core/completion.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string>

namespace plait::detail {

// Observers notify from any thread; the consumer takes positions in that order.
struct completions::hub {
  struct node : observer {
    explicit node(hub& h) noexcept : observer(&node::finished), owner(h) {}
    static void finished(observer* self) noexcept {
      auto& me = *static_cast<node*>(self);
      me.owner.push(me);
    }
    hub& owner;
    any_future future;
    std::size_t position = 0;
    node* later = nullptr;
    bool notified = false;  // guarded by the mutex
    bool cancelled = false;
  };

  void push(node& n) noexcept {
    const std::lock_guard hold(mutex);  // held while notifying: the hub may die right after
    n.notified = true;
    n.later = nullptr;
    *tail = &n;
    tail = &n.later;
    changed.notify_one();
  }
  node* pop() noexcept {  // with the mutex held
    node* n = head;
    head = n->later;
    if (head == nullptr) tail = &head;
    return n;
  }
  bool any_finished() noexcept {
    const std::lock_guard hold(mutex);
    return head != nullptr;
  }
  // On a pool's worker: runs one awaited call that has not begun, as get() would.
  void assist() {
    for (node& n : nodes) {
      if (!n.future.valid()) continue;
      auto& state = *access::get(n.future);
      if (!state.is_done()) state.assist();
      if (any_finished()) return;
    }
  }

  std::deque<node> nodes;  // stay where they are; by position
  std::vector<std::size_t> free;
  std::size_t remaining = 0;
  std::mutex mutex;
  std::condition_variable changed;
  node* head = nullptr;  // finished and not yet returned; guarded by the mutex
  node** tail = &head;
};

completions::completions(std::vector<any_future> futures) : hub_(nullptr) {
  for (auto& f : futures) access::checked(f);
  hub_ = new hub;
  for (auto& f : futures) add(std::move(f));
}

std::size_t completions::add(any_future future) {
  if (hub_->free.empty()) {
    hub_->free.push_back(hub_->nodes.size());
    hub_->nodes.emplace_back(*hub_).position = hub_->free.back();
  }
  const std::size_t position = hub_->free.back();
  hub_->free.pop_back();
  hub::node& n = hub_->nodes[position];
  n.future = std::move(future);
  n.notified = n.cancelled = false;
  ++hub_->remaining;
  if (!access::get(n.future)->add_observer(n)) hub_->push(n);
  return position;
}

any_future completions::take(std::size_t position) noexcept {
  try {
    hub_->free.push_back(position);
  } catch (...) {  // no memory: the position is merely not used again
  }
  return std::move(hub_->nodes[position].future);
}

void completions::cancel() const noexcept {
  // What has not begun first, the newest before the older ones: a worker that a stopped call leaves
  // must not begin the next.
  for (const bool all : {false, true}) {
    for (auto n = hub_->nodes.rbegin(); n != hub_->nodes.rend(); ++n) {
      if (!n->future.valid() || n->cancelled) continue;
      if (!all && access::get(n->future)->has_begun()) continue;
      n->cancelled = true;
      access::get(n->future)->cancel();
    }
  }
}

completions::~completions() {
  if (hub_ == nullptr) return;
  for (hub::node& n : hub_->nodes) {
    if (!n.future.valid() || access::get(n.future)->remove_observer(n)) continue;
    std::unique_lock hold(hub_->mutex);  // R5: it has been told or is just being told
    hub_->changed.wait(hold, [&] { return n.notified; });
  }
  delete hub_;
}

std::size_t completions::remaining() const noexcept { return hub_->remaining; }

std::size_t completions::next(time_point deadline) {
  if (remaining() == 0) return none;
  if (!hub_->any_finished()) hub_->assist();
  std::optional<blocking_scope> scope;
  if (!hub_->any_finished()) scope.emplace(nullptr);
  std::unique_lock hold(hub_->mutex);
  const auto finished = [&] { return hub_->head != nullptr; };
  if (deadline == time_point::max()) {
    hub_->changed.wait(hold, finished);
  } else if (!hub_->changed.wait_until(hold, deadline, finished)) {
    return none;
  }
  --hub_->remaining;
  return hub_->pop()->position;
}

void throw_unfinished(std::size_t remaining) {
  throw timeout_error("timed out with " + std::to_string(remaining) + " futures unfinished");
}

void wait_for_some(const std::vector<any_future>& futures, wait_options options) {
  const auto deadline = add_saturated(std::chrono::steady_clock::now(), options.timeout);
  completions finished(futures);
  for (;;) {
    const std::size_t i = finished.next(deadline);
    if (i == completions::none || options.return_when == return_when::first_completed) return;
    if (options.return_when == return_when::first_exception &&
        access::get(futures[i])->has_exception())
      return;
  }
}

}  // namespace plait::detail

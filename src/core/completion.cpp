#include "plait/core/completion.hpp"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace plait::detail {

// Observers notify from any thread; the consumer takes positions in that order.
struct completions::hub {
  struct node : observer {
    node() noexcept : observer(&node::finished) {}
    static void finished(observer* self) noexcept {
      auto* me = static_cast<node*>(self);
      me->owner->push(*me);
    }
    hub* owner = nullptr;
    node* later = nullptr;
    bool notified = false;
  };

  explicit hub(std::vector<any_future> all)
      : futures(std::move(all)), nodes(new node[futures.size()]) {}

  void push(node& n) noexcept {
    const std::lock_guard hold(mutex);  // held while notifying: the hub may die right after
    n.notified = true;
    *tail = &n;
    tail = &n.later;
    changed.notify_one();
  }
  node* pop() noexcept {  // with the mutex held
    node* n = head;
    if (n == nullptr) return nullptr;
    head = n->later;
    if (head == nullptr) tail = &head;
    return n;
  }
  // On a pool's worker: runs one awaited call that has not begun, as get() would.
  void assist() {
    for (std::size_t i = 0; i < futures.size(); ++i) {
      auto& state = *access::get(futures[i]);
      if (!state.is_done()) state.assist();
      if (any_finished()) return;
    }
  }
  bool any_finished() noexcept {
    const std::lock_guard hold(mutex);
    return head != nullptr;
  }

  std::vector<any_future> futures;
  std::unique_ptr<node[]> nodes;
  std::size_t returned = 0;
  std::mutex mutex;
  std::condition_variable changed;
  node* head = nullptr;
  node** tail = &head;
};

completions::completions(std::vector<any_future> futures) : hub_(nullptr) {
  for (auto& f : futures) access::checked(f);
  hub_ = new hub(std::move(futures));
  for (std::size_t i = 0; i < hub_->futures.size(); ++i) {
    auto& n = hub_->nodes[i];
    n.owner = hub_;
    if (!access::get(hub_->futures[i])->add_observer(n)) hub_->push(n);
  }
}

completions::~completions() {
  if (hub_ == nullptr) return;
  for (std::size_t i = 0; i < hub_->futures.size(); ++i) {
    auto& n = hub_->nodes[i];
    if (access::get(hub_->futures[i])->remove_observer(n)) continue;
    std::unique_lock hold(hub_->mutex);  // R5: it has been told or is just being told
    hub_->changed.wait(hold, [&] { return n.notified; });
  }
  delete hub_;
}

std::size_t completions::remaining() const noexcept {
  return hub_->futures.size() - hub_->returned;
}

std::size_t completions::next(time_point deadline) {
  if (remaining() == 0) return none;
  std::unique_lock hold(hub_->mutex);
  if (hub_->head == nullptr) {
    hold.unlock();
    hub_->assist();
    std::optional<blocking_scope> scope;
    if (!hub_->any_finished()) scope.emplace(nullptr);
    hold.lock();
    const auto finished = [&] { return hub_->head != nullptr; };
    if (deadline == time_point::max()) {
      hub_->changed.wait(hold, finished);
    } else if (!hub_->changed.wait_until(hold, deadline, finished)) {
      return none;
    }
  }
  ++hub_->returned;
  return static_cast<std::size_t>(hub_->pop() - hub_->nodes.get());
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
    if (options.return_when == return_when::first_exception) {
      const auto& state = *access::get(futures[i]);
      if (state.has_exception() || state.is_cancelled()) return;
    }
  }
}

}  // namespace plait::detail

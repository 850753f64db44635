#include "plait/coroutines/when.hpp"

#include <atomic>
#include <deque>
#include <string>

namespace plait::detail {

// Who holds the hub, and when it goes
// -----------------------------------
// The owner has one reference, and so has every future that is still to tell. A future tells by
// pushing its node onto `told`, on whatever thread it was completed; whoever pushed onto an empty
// stack sends the hub itself to the loop, as a job. There the nodes are taken, their references
// given back, and the owner, if it is still there, hears of them. An owner that leaves takes its
// nodes back where remove_observer() lets it; the others are on their way, and keep the hub alive
// until they have arrived. If the loop has ended meanwhile, the sender does what the loop would have.
struct completion_inbox::hub final : job {
  struct node final : observer {
    node(hub& h, any_future f) noexcept
        : observer(&node::finished), owner(h), future(std::move(f)) {}
    static void finished(observer* self) noexcept {
      auto& me = *static_cast<node*>(self);
      me.owner.push(me);
    }
    hub& owner;
    any_future future;
    std::size_t position = 0;
    node* later = nullptr;
    // On the loop only.
    bool arrived = false;
    bool elsewhere = false;  // another engine will complete it
  };

  explicit hub(event_loop& l) noexcept : loop(l) {}

  void push(node& n) noexcept {
    event_loop& home = loop;
    node* before = told.load(std::memory_order_relaxed);
    do {
      n.later = before;
    } while (!told.compare_exchange_weak(before, &n, std::memory_order_acq_rel,
                                         std::memory_order_relaxed));
    if (before == nullptr && !home.deliver(*this)) drop();
  }
  // Taking the nodes gives the job back: whoever next finds the stack empty may send it again.
  void run() noexcept override {
    references.fetch_add(1, std::memory_order_relaxed);  // the owner may go while it is told
    node* oldest = nullptr;
    for (node* n = told.exchange(nullptr, std::memory_order_acq_rel); n != nullptr;) {
      node* following = std::exchange(n->later, oldest);
      oldest = std::exchange(n, following);
    }
    std::size_t arrived = 0;
    for (; oldest != nullptr; ++arrived) {
      node* n = std::exchange(oldest, oldest->later);
      append(*n);
    }
    if (heard_by != nullptr) heard_by->finished_some();
    release(arrived + 1);
  }
  void drop() noexcept override {
    std::size_t lost = 0;
    for (node* n = told.exchange(nullptr, std::memory_order_acq_rel); n != nullptr; n = n->later)
      ++lost;
    release(lost);
  }
  void append(node& n) noexcept {
    n.arrived = true;
    elsewhere -= n.elsewhere;
    n.later = nullptr;
    *tail = &n;
    tail = &n.later;
  }
  void release(std::size_t count) noexcept {
    if (references.fetch_sub(count, std::memory_order_acq_rel) == count) delete this;
  }

  event_loop& loop;
  std::deque<node> nodes;  // stay where they are; by position
  std::atomic<std::size_t> references{1};
  std::atomic<node*> told{nullptr};
  // The loop only.
  node* head = nullptr;  // arrived and not yet named
  node** tail = &head;
  std::size_t remaining = 0;
  std::size_t elsewhere = 0;  // of those that have not arrived
  listener* heard_by = nullptr;
};

completion_inbox::completion_inbox(event_loop& loop, const std::vector<any_future>& futures) {
  for (const auto& f : futures) check_valid(f);
  hub_ = new hub(loop);
  try {
    for (const auto& f : futures) hub_->nodes.emplace_back(*hub_, f).position = hub_->remaining++;
  } catch (...) {
    delete hub_;
    throw;
  }
  hub_->references.fetch_add(futures.size(), std::memory_order_relaxed);
  for (auto& n : hub_->nodes) {
    auto& state = *access::get(n.future);
    // The loop that has completed it may be gone.
    n.elsewhere = state.is_submitted() && !state.is_done() && !state.completes_here();
    hub_->elsewhere += n.elsewhere;
    if (state.add_observer(n)) continue;
    hub_->append(n);
    hub_->release(1);
  }
}

completion_inbox::~completion_inbox() {
  if (hub_ == nullptr) return;
  hub_->heard_by = nullptr;
  std::size_t mine = 1;
  for (auto& n : hub_->nodes)
    if (!n.arrived && access::get(n.future)->remove_observer(n)) ++mine;
  hub_->release(mine);
}

std::size_t completion_inbox::next() noexcept {
  hub::node* n = hub_->head;
  if (n == nullptr) return none;
  hub_->head = n->later;
  if (hub_->head == nullptr) hub_->tail = &hub_->head;
  --hub_->remaining;
  return n->position;
}

std::size_t completion_inbox::remaining() const noexcept { return hub_->remaining; }
void completion_inbox::tell(listener* l) noexcept { hub_->heard_by = l; }
bool completion_inbox::is_elsewhere() const noexcept { return hub_->elsewhere != 0; }
bool completion_inbox::has_listener() const noexcept { return hub_->heard_by != nullptr; }

void check_valid(const any_future& f) { access::checked(f); }

void throw_two_nexts() {
  throw invalid_state("two tasks await next() of one completion_stream at once");
}

bool inbox_waiter::begin(completion_inbox& inbox, time_point until) noexcept {
  awaited_ = &inbox;
  if (satisfied()) {
    awaited_ = nullptr;
    unsuspend();
    return false;
  }
  awaited_->tell(this);
  count();
  if (until != time_point::max()) arm(flow().loop(), until);
  return true;
}

void inbox_waiter::end() noexcept {
  if (awaited_ == nullptr) return;
  std::exchange(awaited_, nullptr)->tell(nullptr);
  count();
  disarm();
}

void inbox_waiter::count() noexcept {
  const bool now = awaited_ != nullptr && awaited_->is_elsewhere();
  flow().queue().elsewhere += now;
  flow().queue().elsewhere -= std::exchange(elsewhere_, now);
}

void inbox_waiter::finished_some() noexcept {
  if (!satisfied()) return count();
  end();
  resume_soon();
}

void inbox_waiter::expired() noexcept {
  end();
  resume_soon();
}

void inbox_waiter::stop() noexcept {
  end();
  give_up();
}

std::string inbox_waiter::waits_for() const {
  return std::to_string(awaited_ != nullptr ? awaited_->remaining() : 0) + " futures";
}

bool when_base::begin_wait(std::vector<any_future> futures) {
  auto& loop = flow().loop();
  try {
    watched_ = std::move(futures);
    inbox_.emplace(loop, watched_);
  } catch (...) {
    unsuspend();
    throw;
  }
  return begin(*inbox_, add_saturated(loop.clock().now(), options_.timeout));
}

bool when_base::satisfied() noexcept {
  for (;;) {
    if (inbox_->remaining() == 0) return true;
    const std::size_t i = inbox_->next();
    if (i == completion_inbox::none) return false;
    if (options_.return_when == return_when::first_completed) return true;
    if (options_.return_when == return_when::first_exception &&
        access::get(watched_[i])->has_exception())
      return true;
  }
}

}  // namespace plait::detail

// Invariant 2: one shared state, one protocol. Many threads race every operation of it in an order
// drawn from a printed seed, and what R1..R6 of plait/core/state.hpp promise is checked every
// round.
//
// A round: one fresh state, and threads that each hold a reference. One of them is the completer,
// as an engine's queue is; the others cancel, add and remove observers, wait, look and let go.
#include "plait/core/state.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "plait/testing/seed.hpp"

namespace {

using plait::detail::observer;
using plait::detail::state;
using plait::detail::state_base;
using plait::testing::random_source;

constexpr int threads = 4;
constexpr int rounds = 8000;
constexpr std::size_t words = 8;

// Torn, stale or early reads show as words that differ, or as a report of ThreadSanitizer.
struct payload {
  explicit payload(std::uint64_t id) { words_.fill(id); }
  bool is(std::uint64_t id) const {
    return std::all_of(words_.begin(), words_.end(), [&](auto w) { return w == id; });
  }
  std::array<std::uint64_t, words> words_;
};

std::atomic<int> destroyed{0}, reported{0};

struct stressed_state final : state<payload> {
  stressed_state() : state<payload>(1) {}
  ~stressed_state() override { destroyed.fetch_add(1); }
  bool request_stop() noexcept override { return hears_stop; }
  bool hears_stop = false;
};

// Owned by the thread that adds it, which frees it as R5 allows, so that ASan sees a late notify.
struct watched final : observer {
  explicit watched(std::atomic<int>& c) : observer(&watched::told), counter(c) {}
  static void told(observer* self) noexcept {
    auto* me = static_cast<watched*>(self);
    const int turn = me->counter.fetch_add(1);
    me->notified.store(turn + 1, std::memory_order_release);  // `me` may be freed from here on
  }
  std::atomic<int>& counter;
  std::atomic<int> notified{0};  // the turn, from 1
};

enum class fate { value, exception };

// What the threads of a round share, and what each saw.
struct round_record {
  stressed_state* shared = nullptr;
  std::uint64_t id = 0;
  fate how = fate::value;
  int completer = 0;
  std::atomic<int> claims{0}, cancels{0}, notifications{0};
  std::atomic<int> added{0}, removed{0};
  std::atomic<bool> retrieved{false};
};

class participant {
 public:
  participant(round_record& r, int index, random_source& random)
      : round_(r), state_(*r.shared), random_(random), completes_(r.completer == index) {}

  void play() {
    const auto steps = 1 + random_.below(8);
    const auto complete_at = random_.below(steps);
    for (std::uint64_t i = 0; i < steps; ++i) {
      if (completes_ && i == complete_at) complete();
      act();
    }
    settle_observers();
    state_.release();
  }

 private:
  void act() {
    switch (random_.below(8)) {
      case 0:
        return cancel();
      case 1:
      case 2:
        return add();
      case 3:
        return remove();
      case 4:
        return look();
      case 5:
        return wait_shortly();
      case 6:
        return hold_and_release();
      default:
        if (!completes_ || completed_) return wait();
    }
  }
  void complete() {
    completed_ = true;
    if (!state_.try_claim()) return state_.release();  // cancelled: as a queue gives it back
    round_.claims.fetch_add(1);
    if (round_.how == fate::value)
      state_.finish_value(round_.id);
    else
      state_.finish_exception(std::make_exception_ptr(round_.id));
  }
  void cancel() {
    if (random_.one_in(3) && state_.cancel()) {
      round_.cancels.fetch_add(1);
      EXPECT_TRUE(state_.is_claimed());
    }
  }
  void add() {
    auto fresh = std::make_unique<watched>(round_.notifications);
    if (state_.add_observer(*fresh)) {
      round_.added.fetch_add(1);
      mine_.push_back(std::move(fresh));
    } else {
      EXPECT_TRUE(state_.is_done()) << "R4: refused only after done";
    }
  }
  void remove() {
    if (mine_.empty()) return;
    const auto at = mine_.begin() + static_cast<std::ptrdiff_t>(random_.below(mine_.size()));
    if (!state_.remove_observer(**at)) return;  // R5: its signal comes; settle_observers() waits
    EXPECT_EQ((*at)->notified.load(), 0) << "R4: removed means never told";
    round_.removed.fetch_add(1);
    mine_.erase(at);
  }
  void look() {
    if (!state_.is_done()) return;
    if (state_.is_cancelled()) return;
    if (state_.has_exception()) {
      EXPECT_EQ(round_.how, fate::exception);
      if (random_.one_in(2)) retrieve();
    } else {
      EXPECT_TRUE(state_.value().is(round_.id)) << "R2: the whole value or nothing";
    }
  }
  void retrieve() {
    round_.retrieved.store(true);
    try {
      std::rethrow_exception(state_.retrieve());
    } catch (const std::uint64_t id) {
      EXPECT_EQ(id, round_.id);
    }
  }
  void wait_shortly() {
    const auto span = std::chrono::nanoseconds(random_.below(30'000));
    const bool done = state_.wait_until(std::chrono::steady_clock::now() + span);
    EXPECT_TRUE(!done || state_.is_done());
  }
  void wait() {
    state_.wait();
    EXPECT_TRUE(state_.is_done());
    look();
  }
  void hold_and_release() {
    state_.add_ref();
    if (random_.one_in(2)) std::this_thread::yield();
    state_.release();
  }
  // Every observer that was not removed is told exactly once, in the order in which it was added.
  void settle_observers() {
    int before = 0;
    for (auto& o : mine_) {
      if (random_.one_in(4) && state_.remove_observer(*o)) {
        round_.removed.fetch_add(1);
        EXPECT_EQ(o->notified.load(), 0);
        o.reset();
        continue;
      }
      int turn;
      while ((turn = o->notified.load(std::memory_order_acquire)) == 0) std::this_thread::yield();
      EXPECT_GT(turn, before) << "R4: in the order in which they came";
      before = turn;
      o.reset();  // R5: it has had its signal
    }
  }

  round_record& round_;
  stressed_state& state_;
  random_source& random_;
  const bool completes_;
  bool completed_ = false;
  std::vector<std::unique_ptr<watched>> mine_;
};

// What the rules promise of a round that is over.
void check(const round_record& r, int destroyed_before, int reported_before) {
  const int claimed = r.claims.load(), cancelled = r.cancels.load();
  EXPECT_EQ(claimed + cancelled, 1) << "R1: exactly one took the result";
  EXPECT_EQ(r.notifications.load(), r.added.load() - r.removed.load()) << "R4: told or removed";
  EXPECT_EQ(destroyed.load() - destroyed_before, 1) << "R3, R6: destroyed once, by the last";
  const bool lost = claimed == 1 && r.how == fate::exception && !r.retrieved.load();
  EXPECT_EQ(reported.load() - reported_before, lost ? 1 : 0) << "R6: reported iff nobody saw it";
}

TEST(Invariant2OneProtocol, HoldsUnderEveryRace) {
  const auto previous = plait::set_unhandled_exception_handler(
      [](const plait::unhandled_exception&) noexcept { reported.fetch_add(1); });
  random_source random;
  std::unique_ptr<round_record> round;
  std::barrier<> begin(threads + 1), end(threads + 1);
  std::vector<std::thread> team;
  for (int t = 0; t < threads; ++t)
    team.emplace_back([&, t, mine = random.split()]() mutable {
      for (int i = 0; i < rounds; ++i) {
        begin.arrive_and_wait();
        participant(*round, t, mine).play();
        end.arrive_and_wait();
      }
    });
  for (int i = 0; i < rounds; ++i) {
    round = std::make_unique<round_record>();
    round->shared = new stressed_state;
    for (int t = 1; t < threads; ++t) round->shared->add_ref();
    round->id = random.next();
    round->how = random.one_in(2) ? fate::value : fate::exception;
    round->completer = static_cast<int>(random.below(threads));
    const int destroyed_before = destroyed.load(), reported_before = reported.load();
    begin.arrive_and_wait();
    end.arrive_and_wait();
    check(*round, destroyed_before, reported_before);
  }
  for (auto& t : team) t.join();
  plait::set_unhandled_exception_handler(previous);
}

}  // namespace

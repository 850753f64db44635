// The timer wheel against a sorted map that does the same slowly.
#include "coroutines/timer_wheel.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "plait/testing/seed.hpp"

using namespace std::chrono_literals;
using plait::duration;
using plait::time_point;

namespace {

constexpr time_point start{std::chrono::hours(24)};

struct probe final : plait::detail::timer {
  void expired() noexcept override { fired(); }
  std::function<void()> fired;
};

// Arming goes to the wheel itself: there is no loop here.
class model {
 public:
  explicit model(std::uint64_t seed, time_point now) : random_(seed), now_(now), wheel_(now) {
    for (std::size_t i = 0; i < 200; ++i) {
      probes_.push_back(std::make_unique<probe>());
      probes_.back()->fired = [this, i] { fire(i); };
      where_.push_back(expected_.end());
    }
  }

  void step() {
    for (std::uint64_t n = random_.below(8); n > 0; --n) change();
    check_next_expiry();
    now_ = next_time();
    last_fired_ = time_point::min();
    wheel_.expire(now_);
    // What firing timers armed into the past fires the next time.
    for (const auto& [deadline, index] : expected_)
      ASSERT_TRUE(deadline > now_ || armed_while_firing_[index]) << "a timer was missed";
    armed_while_firing_.clear();
    ASSERT_EQ(wheel_.empty(), expected_.empty());
  }
  time_point now() const { return now_; }
  std::size_t fired() const { return fired_; }

 private:
  using multimap = std::multimap<time_point, std::size_t>;

  duration random_span() {
    switch (random_.below(9)) {
      case 0:
        return 0ns;
      case 1:
        return duration(static_cast<duration::rep>(random_.below(70'000)));
      case 2:
        return duration(static_cast<duration::rep>(random_.below(5'000'000)));
      case 3:
        return duration(static_cast<duration::rep>(random_.below(300'000'000)));
      case 4:
        return std::chrono::seconds(random_.below(3600));
      case 5:
        return std::chrono::hours(random_.below(48));
      case 6:
        return std::chrono::hours(24 * 365 * random_.below(200));
      case 7:
        return duration::max();
      default:
        return -std::chrono::seconds(random_.below(10));
    }
  }
  void arm(std::size_t i, time_point deadline) {
    wheel_.arm(*probes_[i], deadline);
    where_[i] = expected_.emplace(deadline, i);
  }
  void disarm(std::size_t i) {
    probes_[i]->disarm();
    expected_.erase(where_[i]);
    where_[i] = expected_.end();
  }
  // One timer at random: armed if it was not, otherwise disarmed, and perhaps armed anew.
  void change() {
    const auto i = static_cast<std::size_t>(random_.below(probes_.size()));
    ASSERT_EQ(probes_[i]->armed(), where_[i] != expected_.end());
    if (probes_[i]->armed()) disarm(i);
    if (random_.one_in(4)) return;
    arm(i, plait::detail::add_saturated(now_, random_span()));
    if (firing_) armed_while_firing_[i] = true;
  }
  void check_next_expiry() {
    if (expected_.empty()) {
      ASSERT_TRUE(wheel_.empty());
      ASSERT_EQ(wheel_.next_expiry(), time_point::max());
      return;
    }
    ASSERT_LE(wheel_.next_expiry(), expected_.begin()->first);
  }
  // Mostly near, so that many steps fit before the end of time.
  time_point next_time() {
    const auto next = wheel_.next_expiry();
    const auto first = expected_.empty() ? now_ : expected_.begin()->first;
    const auto kind = random_.below(4);
    if (kind == 0 && (next - now_ < 1h || random_.one_in(50))) return std::max(now_, next);
    if (kind == 1 && (first - now_ < 1h || random_.one_in(50))) return std::max(now_, first);
    return plait::detail::add_saturated(
        now_,
        duration(static_cast<duration::rep>(random_.below(kind == 2 ? 100'000'000 : 200'000))));
  }
  void fire(std::size_t i) {
    ++fired_;
    ASSERT_NE(where_[i], expected_.end()) << "fired, though it was not armed";
    const auto deadline = where_[i]->first;
    ASSERT_LE(deadline, now_) << "fired too early";
    ASSERT_GE(deadline, last_fired_) << "fired out of order";
    ASSERT_FALSE(armed_while_firing_[i]) << "fired in the turn in which it was armed";
    ASSERT_FALSE(probes_[i]->armed());
    last_fired_ = deadline;
    expected_.erase(where_[i]);
    where_[i] = expected_.end();
    firing_ = true;
    if (random_.one_in(3)) change();
    firing_ = false;
  }

  plait::testing::random_source random_;
  time_point now_;
  plait::detail::timer_wheel wheel_;
  multimap expected_;
  std::vector<std::unique_ptr<probe>> probes_;
  std::vector<multimap::iterator> where_;
  std::map<std::size_t, bool> armed_while_firing_;
  time_point last_fired_{};
  std::size_t fired_ = 0;
  bool firing_ = false;
};

TEST(TimerWheel, DoesWhatASortedMapDoes) {
  plait::testing::random_source seeds;
  std::size_t fired = 0;
  for (int run = 0; run < 200; ++run) {
    const std::uint64_t seed = seeds.next();
    SCOPED_TRACE(seed);
    model m(seed,
            run % 3 == 0 ? time_point() : start + std::chrono::nanoseconds(seeds.below(1u << 30)));
    for (int i = 0; i < 500 && m.now() < time_point::max(); ++i) {
      m.step();
      if (HasFatalFailure()) return;
    }
    fired += m.fired();
  }
  EXPECT_GT(fired, 10'000u);
}

// Fires in the order of its deadline and then of its arming, however it came to its slot.
TEST(TimerWheel, FiresInOrderOfDeadlineAndThenOfArming) {
  plait::testing::random_source random;
  plait::detail::timer_wheel wheel(start);
  std::vector<std::unique_ptr<probe>> probes;
  std::vector<std::pair<time_point, std::size_t>> fired;
  for (std::size_t i = 0; i < 5000; ++i) {
    probes.push_back(std::make_unique<probe>());
    const auto deadline = start + std::chrono::milliseconds(random.below(1000)) +
                          std::chrono::nanoseconds(random.below(3));
    probes[i]->fired = [&fired, deadline, i] { fired.emplace_back(deadline, i); };
    wheel.arm(*probes[i], deadline);
  }
  wheel.expire(start + 300ms);
  const auto first_part = fired.size();
  EXPECT_GT(first_part, 0u);
  wheel.expire(start + 2s);
  EXPECT_EQ(fired.size(), probes.size());
  EXPECT_TRUE(std::is_sorted(fired.begin(), fired.end()));
}

TEST(TimerWheel, FarDeadlinesAreReachedInAFewStepsAndNeverLate) {
  for (const auto deadline :
       {start + 1ns, start + 65'536ns, start + 4ms, start + 1s, time_point(start + 24h),
        time_point(start + 24h * 365 * 100), time_point::max() - 1ns, time_point::max()}) {
    plait::detail::timer_wheel wheel(start);
    probe p;
    bool fired = false;
    p.fired = [&] { fired = true; };
    wheel.arm(p, deadline);
    int steps = 0;
    for (; !fired && steps < 20; ++steps) {
      const auto next = wheel.next_expiry();
      ASSERT_LE(next, deadline);
      wheel.expire(next);
      ASSERT_EQ(fired, next == deadline);
    }
    EXPECT_TRUE(fired) << deadline.time_since_epoch().count();
    EXPECT_LE(steps, 9);
    EXPECT_TRUE(wheel.empty());
  }
}

TEST(TimerWheel, ATimerThatFiresMayDisarmThoseThatAreAboutTo) {
  plait::detail::timer_wheel wheel(start);
  std::vector<std::unique_ptr<probe>> probes;
  int fired = 0;
  for (int i = 0; i < 100; ++i) probes.push_back(std::make_unique<probe>());
  for (std::size_t i = 0; i < 100; ++i) {
    probes[i]->fired = [&, i] {
      ++fired;
      if (i + 1 < probes.size()) probes[i + 1]->disarm();
    };
    wheel.arm(*probes[i], start + std::chrono::microseconds(i * 50));
  }
  wheel.expire(start + 1s);
  EXPECT_EQ(fired, 50);
  EXPECT_TRUE(wheel.empty());
}

TEST(TimerWheel, ATimerThatArmsItselfAgainForNowFiresNextTurn) {
  plait::detail::timer_wheel wheel(start);
  probe p;
  int fired = 0;
  p.fired = [&] {
    ++fired;
    wheel.arm(p, start);
  };
  wheel.arm(p, start);
  for (int turn = 1; turn <= 5; ++turn) {
    EXPECT_LE(wheel.next_expiry(), start);
    wheel.expire(start);
    EXPECT_EQ(fired, turn);
  }
}

TEST(TimerWheel, ADestroyedTimerIsDisarmed) {
  plait::detail::timer_wheel wheel(start);
  {
    probe a, b;
    wheel.arm(a, start + 1s);
    wheel.arm(b, start + 1h);
  }
  EXPECT_TRUE(wheel.empty());
  wheel.expire(start + 2h);
  EXPECT_EQ(wheel.next_expiry(), time_point::max());
}

}  // namespace

// The shared state's rules, R1..R6 of plait/core/state.hpp, one at a time on one thread.
// state_stress_test.cpp holds them against each other on many.
#include "plait/core/state.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "plait/testing/unhandled_recorder.hpp"

namespace {

using plait::detail::observer;
using plait::detail::state;
using plait::detail::state_base;
using outcome = state_base::outcome;

struct counted_state final : state<int> {
  explicit counted_state(int& destroyed, unsigned completers = 1)
      : state<int>(completers), destroyed_(destroyed) {}
  ~counted_state() override { ++destroyed_; }
  int& destroyed_;
};

struct recording_observer final : observer {
  explicit recording_observer(std::vector<int>& log, int id = 0, state_base* s = nullptr)
      : observer(&recording_observer::told), log_(log), id_(id), state_(s) {}
  static void told(observer* self) noexcept {
    auto* me = static_cast<recording_observer*>(self);
    me->log_.push_back(me->id_);
    if (me->state_ != nullptr) me->was_last = me->state_->is_last_ref();
  }
  std::vector<int>& log_;
  int id_;
  state_base* state_;
  bool was_last = false;
};

TEST(State, R1OnlyTheFirstClaimWins) {
  int destroyed = 0;
  auto* s = new counted_state(destroyed);
  EXPECT_TRUE(s->try_claim());
  EXPECT_FALSE(s->try_claim());
  EXPECT_FALSE(s->cancel()) << "claimed, and this call cannot hear a stop";
  EXPECT_TRUE(s->is_stopping());
  s->finish_value(1);
  s->release();
  EXPECT_EQ(destroyed, 1);
}

TEST(State, R2DoneMeansTheResultIsThere) {
  int destroyed = 0;
  auto* s = new counted_state(destroyed);
  ASSERT_TRUE(s->try_claim());
  EXPECT_FALSE(s->is_done());
  s->finish_value(7);
  EXPECT_TRUE(s->is_done());
  EXPECT_EQ(s->value(), 7);
  s->release();
}

TEST(State, R3TheCompletersReferenceEndsWithDone) {
  int destroyed = 0;
  auto* s = new counted_state(destroyed);
  ASSERT_TRUE(s->try_claim());
  s->finish_value(1);
  EXPECT_TRUE(s->is_last_ref());
  s->release();
  EXPECT_EQ(destroyed, 1);
  auto* unwatched = new counted_state(destroyed);
  unwatched->release();
  ASSERT_TRUE(unwatched->try_claim());
  unwatched->finish_value(1);
  EXPECT_EQ(destroyed, 2) << "nobody holds it: the completer was the last";
}

// The completer used to keep its reference while it told its observers, so that a thread which it
// woke copied a value that it should have moved out.
TEST(State, R3TheCompleterHasLetGoWhenObserversAreTold) {
  int destroyed = 0;
  std::vector<int> log;
  auto* s = new counted_state(destroyed);
  recording_observer o(log, 1, s);
  ASSERT_TRUE(s->add_observer(o));
  ASSERT_TRUE(s->try_claim());
  s->finish_value(1);
  EXPECT_EQ(log, std::vector<int>{1});
  EXPECT_TRUE(o.was_last);
  s->release();
  EXPECT_EQ(destroyed, 1);
}

TEST(State, R3AnObserverMayLetGoOfTheLastHandle) {
  int destroyed = 0;
  auto* s = new counted_state(destroyed);
  struct releasing final : observer {
    explicit releasing(state_base* s) : observer(&releasing::told), held(s) {}
    static void told(observer* self) noexcept { static_cast<releasing*>(self)->held->release(); }
    state_base* held;
  } o(s);
  ASSERT_TRUE(s->add_observer(o));
  ASSERT_TRUE(s->try_claim());
  s->finish_value(1);
  EXPECT_EQ(destroyed, 1);
}

TEST(State, R4ObserversAreToldInTheOrderInWhichTheyCame) {
  int destroyed = 0;
  std::vector<int> log;
  auto* s = new counted_state(destroyed);
  std::vector<recording_observer> all;
  for (int i = 0; i < 6; ++i) all.emplace_back(log, i);
  for (auto& o : all) ASSERT_TRUE(s->add_observer(o));
  EXPECT_TRUE(s->remove_observer(all[0]));
  EXPECT_TRUE(s->remove_observer(all[3]));
  EXPECT_TRUE(s->remove_observer(all[5]));
  EXPECT_FALSE(s->remove_observer(all[3])) << "it is not there any more";
  ASSERT_TRUE(s->try_claim());
  s->finish_value(1);
  EXPECT_EQ(log, (std::vector<int>{1, 2, 4}));
  EXPECT_FALSE(s->remove_observer(all[1])) << "R5: it has been told";
  EXPECT_FALSE(s->add_observer(all[0])) << "done already";
  EXPECT_EQ(log.size(), 3u);
  s->release();
}

TEST(State, R4RemovingTheOnlyObserverLeavesTheFastPathBehind) {
  int destroyed = 0;
  std::vector<int> log;
  auto* s = new counted_state(destroyed);
  recording_observer o(log);
  ASSERT_TRUE(s->add_observer(o));
  EXPECT_TRUE(s->remove_observer(o));
  ASSERT_TRUE(s->add_observer(o));
  EXPECT_TRUE(s->remove_observer(o));
  ASSERT_TRUE(s->try_claim());
  s->finish_value(1);
  EXPECT_TRUE(log.empty());
  s->release();
  EXPECT_EQ(destroyed, 1);
}

TEST(State, R6TheLastReleaseReportsAnExceptionNobodySaw) {
  int destroyed = 0;
  const plait::testing::unhandled_recorder unhandled;
  for (const bool look : {true, false}) {
    auto* s = new counted_state(destroyed);
    ASSERT_TRUE(s->try_claim());
    s->finish_exception(std::make_exception_ptr(std::runtime_error("r6")));
    if (look) static_cast<void>(s->retrieve());
    EXPECT_EQ(unhandled.count(), 0u);
    s->release();
  }
  EXPECT_EQ(destroyed, 2);
  EXPECT_EQ(unhandled.count(), 1u);
}

TEST(State, CancelTakesAnUnclaimedStateAndKeepsTheQueuesReference) {
  int destroyed = 0;
  auto* s = new counted_state(destroyed);
  EXPECT_TRUE(s->cancel());
  EXPECT_TRUE(s->is_cancelled());
  EXPECT_FALSE(s->is_last_ref()) << "the queue still holds the job";
  EXPECT_FALSE(s->try_claim());
  s->release();  // as the queue does when it reaches the job
  EXPECT_EQ(destroyed, 0);
  s->release();
  EXPECT_EQ(destroyed, 1);
}

TEST(State, BlockingPolicyIsAskedBeforeAThreadBlocksAndOnlyThen) {
  struct refusing final : plait::detail::blocking_policy {
    void before_block(const state_base*) override {
      ++asked;
      throw plait::would_deadlock("this thread must not block");
    }
    int asked = 0;
  } policy;
  int destroyed = 0;
  auto* s = new counted_state(destroyed);
  auto* previous = plait::detail::blocking_policy::exchange(&policy);
  EXPECT_THROW(s->wait(), plait::would_deadlock);
  EXPECT_THROW(s->wait_until(plait::time_point::max()), plait::would_deadlock);
  ASSERT_TRUE(s->try_claim());
  s->finish_value(1);
  s->wait();
  EXPECT_EQ(policy.asked, 2);
  EXPECT_EQ(plait::detail::blocking_policy::exchange(previous), &policy);
  s->release();
}

}  // namespace

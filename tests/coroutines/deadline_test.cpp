// What a deadline that moves promises: its work is stopped where it stands last, and nowhere else.
#include "plait/coroutines/deadline.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "small_tasks.hpp"
#include "virtual_run.hpp"

using namespace std::chrono_literals;
using plait::deadline;
using plait::task;

namespace {

// How long the awaitable takes to end, well or by its deadline.
template <class Awaitable>
task<plait::duration> time_of(Awaitable awaitable) {
  const auto start = virtual_now();
  static_cast<void>(co_await std::move(awaitable));
  co_return virtual_now() - start;
}

TEST(Deadline, ThatNobodyMovesIsATimeout) {
  virtual_run([]() -> task<> {
    const auto start = virtual_now();
    deadline limit(5s);
    EXPECT_EQ(limit.expires_at(), start + 5s);
    EXPECT_EQ(co_await plait::timeout_at(limit, after(1s, 3)), 3);
    EXPECT_TRUE(co_await throws<plait::timeout_error>(plait::timeout_at(limit, plait::sleep(1h))));
    EXPECT_EQ(virtual_now() - start, 5s);  // one budget for both
    deadline at(start + 7s);
    EXPECT_EQ(co_await plait::move_on_at(at, after(1h, 3)), std::nullopt);
    EXPECT_EQ(virtual_now() - start, 7s);
  });
}

TEST(Deadline, TheBodyMovesItOnWithEveryStep) {
  virtual_run([]() -> task<> {
    deadline limit(10s);
    const auto steps = [&]() -> task<int> {
      for (int i = 0; i < 100; ++i) {
        co_await plait::sleep(9s);
        EXPECT_TRUE(limit.reschedule(10s));
      }
      co_await plait::sleep(11s);
      co_return 1;
    };
    EXPECT_EQ(co_await time_of(plait::move_on_at(limit, steps())), 910s);
  });
}

TEST(Deadline, IsMovedFromOutside) {
  virtual_run([]() -> task<> {
    deadline limit(10s);
    auto bounded = plait::spawn(time_of(plait::move_on_at(limit, plait::sleep(1h))));
    co_await plait::sleep(5s);
    EXPECT_TRUE(limit.extend_by(10s));
    EXPECT_TRUE(limit.extend_by(-1s));
    EXPECT_EQ(co_await bounded, 19s);
  });
}

TEST(Deadline, MovedIntoThePastPassesInTheNextTurn) {
  virtual_run([]() -> task<> {
    deadline limit(1h);
    bool ran_on = false;
    const auto body = [&]() -> task<> {
      co_await plait::sleep(1s);
      EXPECT_TRUE(limit.reschedule(virtual_now() - 10s));
      ran_on = true;  // moving it interrupts nothing: the next await does
      co_await plait::sleep(1s);
      ADD_FAILURE();
    };
    EXPECT_EQ(co_await time_of(plait::move_on_at(limit, body())), 1s);
    EXPECT_TRUE(ran_on);
    EXPECT_FALSE(co_await plait::move_on_at(limit, plait::sleep(1s)));  // it stays there
  });
}

TEST(Deadline, OfNeverStopsNobodyUntilItIsMoved) {
  virtual_run([]() -> task<> {
    deadline limit;
    EXPECT_EQ(limit.expires_at(), deadline::never);
    EXPECT_EQ(co_await plait::timeout_at(limit, after(24h * 365, 2)), 2);
    EXPECT_TRUE(limit.extend_by(1s));
    EXPECT_TRUE(limit.extend_by(-1s));
    EXPECT_EQ(limit.expires_at(), deadline::never);
    auto bounded = plait::spawn(time_of(plait::move_on_at(limit, plait::sleep(1h))));
    co_await plait::sleep(1s);
    EXPECT_TRUE(limit.reschedule(1s));
    EXPECT_EQ(co_await bounded, 2s);
  });
}

TEST(Deadline, MovedToNeverLetsItsWorkEnd) {
  virtual_run([]() -> task<> {
    deadline limit(1s);
    const auto body = [&]() -> task<int> {
      EXPECT_TRUE(limit.reschedule(deadline::never));
      co_await plait::sleep(24h);
      co_return 4;
    };
    EXPECT_EQ(co_await plait::timeout_at(limit, body()), 4);
  });
}

TEST(Deadline, CannotBeMovedWhileWhatItStoppedLetsGo) {
  virtual_run([]() -> task<> {
    deadline limit(1s);
    const auto start = virtual_now();
    const auto body = [&]() -> task<> {
      EXPECT_FALSE(limit.expired());
      EXPECT_TRUE(co_await throws<plait::cancelled_error>(plait::sleep(1h)));
      EXPECT_TRUE(limit.expired());
      EXPECT_FALSE(limit.reschedule(1h));
      EXPECT_FALSE(limit.extend_by(1h));
      EXPECT_EQ(limit.expires_at(), start + 1s);
      co_await plait::sleep(0s);  // throws: a stop stays
    };
    EXPECT_FALSE(co_await plait::move_on_at(limit, body()));
    EXPECT_FALSE(limit.expired());
    EXPECT_TRUE(limit.reschedule(1h));  // for the next
    EXPECT_TRUE(co_await plait::move_on_at(limit, plait::sleep(1min)));
  });
}

TEST(Deadline, AResultThatArrivesDespiteTheStopIsKept) {
  virtual_run([]() -> task<> {
    deadline limit(1s);
    const auto stubborn = []() -> task<int> {
      co_return co_await throws<plait::cancelled_error>(plait::sleep(1h)) ? 7 : 0;
    };
    EXPECT_EQ(co_await plait::timeout_at(limit, stubborn()), 7);
  });
}

TEST(Deadline, InnerAndOuterAreToldApart) {
  virtual_run([]() -> task<> {
    deadline outer(10s), inner(1s);
    std::string heard;
    const auto body = [&]() -> task<int> {
      heard += co_await plait::move_on_at(inner, plait::sleep(1h)) ? "ended" : "inner";
      EXPECT_TRUE(outer.reschedule(virtual_now() + 1s));
      EXPECT_TRUE(inner.reschedule(1h));
      heard += co_await plait::move_on_at(inner, plait::sleep(1h)) ? " ended" : " inner";
      co_return 1;
    };
    EXPECT_EQ(co_await time_of(plait::move_on_at(outer, body())), 2s);
    EXPECT_EQ(heard, "inner");
  });
}

TEST(Deadline, ThatBoundsAWorkAndAPartOfItIsTheOuters) {
  virtual_run([]() -> task<> {
    deadline limit(1s);
    std::string heard;
    const auto body = [&]() -> task<> {
      heard = co_await plait::move_on_at(limit, plait::sleep(1h)) ? "ended" : "moved on";
    };
    EXPECT_TRUE(co_await throws<plait::timeout_error>(plait::timeout_at(limit, body())));
    EXPECT_EQ(heard, "");
  });
}

TEST(Deadline, BoundsManyAtOnce) {
  virtual_run([]() -> task<> {
    deadline limit(1s);
    const auto start = virtual_now();
    std::vector<task<std::optional<int>>> all;
    for (int i = 0; i < 100; ++i)
      all.push_back([](deadline& d, int n) -> task<std::optional<int>> {
        co_return co_await plait::move_on_at(d, after(n * 100ms, n));
      }(limit, i));
    auto together = plait::spawn([](auto tasks) -> task<int> {
      int ended = 0;
      for (const auto& r : co_await plait::gather(std::move(tasks))) ended += r.has_value();
      co_return ended;
    }(std::move(all)));
    co_await plait::sleep(950ms);
    EXPECT_TRUE(limit.reschedule(start + 5050ms));
    EXPECT_EQ(co_await together, 51);
    EXPECT_EQ(virtual_now() - start, 5050ms);
  });
}

TEST(Deadline, AStopFromOutsideIsNoTimeout) {
  virtual_run([]() -> task<> {
    deadline limit(1h);
    const auto bounded = [&]() -> task<> { co_await plait::timeout_at(limit, plait::sleep(2h)); };
    auto f = plait::spawn(bounded());
    co_await plait::sleep(1s);
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_FALSE(limit.expired());
    auto before_it_began = plait::spawn(bounded());
    before_it_began.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(before_it_began));
  });
}

TEST(Deadline, DestroyedFirstBoundsNothingMore) {
  virtual_run([]() -> task<> {
    std::optional<deadline> limit(std::in_place, 1s);
    auto f = plait::spawn([](deadline& d) -> task<int> {
      co_return co_await plait::timeout_at(d, after(1h, 5));
    }(*limit));
    co_await let_others_run();
    limit.reset();
    EXPECT_EQ(co_await f, 5);
  });
}

TEST(Deadline, LeavesNoTimerBehind) {
  virtual_run([]() -> task<> {
    deadline limit(1h);
    EXPECT_EQ(co_await plait::timeout_at(limit, after(1s, 1)), 1);
    EXPECT_EQ(co_await time_of(plait::sleep(2h)), 2h);
    EXPECT_FALSE(limit.expired());
  });
}

TEST(Deadline, SaysHowLongItWaited) {
  virtual_run([]() -> task<> {
    deadline limit(1s);
    const auto body = [&]() -> task<> {
      limit.extend_by(500ms);
      co_await plait::sleep(1h);
    };
    std::string what;
    try {
      co_await plait::timeout_at(limit, body());
    } catch (const plait::timeout_error& e) {
      what = e.what();
    }
    EXPECT_NE(what.find("1.5 s"), std::string::npos) << what;
  });
}

TEST(Deadline, CountedFromNowNeedsALoop) {
  EXPECT_THROW(deadline(1s), plait::invalid_state);
  EXPECT_NO_THROW(deadline(plait::time_point()));
}

}  // namespace

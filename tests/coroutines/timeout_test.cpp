// What timeout promises: the work is stopped and has ended, and the deadline is told from others.
#include "plait/coroutines/timeout.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "small_tasks.hpp"
#include "virtual_run.hpp"

using namespace std::chrono_literals;

namespace {

TEST(Timeout, StopsTheOperandWaitsForItAndThrows) {
  virtual_run([]() -> plait::task<> {
    const auto before = virtual_now();
    bool let_go = false;
    const auto operand = [&]() -> plait::task<> {
      try {
        co_await plait::sleep(1h);
      } catch (const plait::cancelled_error&) {
        let_go = true;
        throw;
      }
    };
    EXPECT_TRUE(co_await throws<plait::timeout_error>(plait::timeout(5s, operand())));
    EXPECT_TRUE(let_go);
    EXPECT_EQ(virtual_now() - before, 5s);
  });
}

TEST(Timeout, ThatDoesNotFireGivesTheResultAndLeavesNoTimer) {
  const auto clock = virtual_run([]() -> plait::task<plait::duration> {
    const auto before = virtual_now();
    EXPECT_EQ(co_await plait::timeout(1h, after(1s, 3)), 3);
    auto text = co_await plait::timeout(1h, []() -> plait::task<std::unique_ptr<std::string>> {
      co_return std::make_unique<std::string>("moved");
    }());
    EXPECT_EQ(*text, "moved");
    co_return virtual_now() - before;
  });
  EXPECT_EQ(clock, 1s);
}

TEST(Timeout, PassesOnWhatTheOperandThrows) {
  virtual_run([]() -> plait::task<> {
    const auto failing = []() -> plait::task<> {
      throw std::out_of_range("x");
      co_return;
    };
    EXPECT_TRUE(co_await throws<std::out_of_range>(plait::timeout(1s, failing())));
    const auto fails_when_stopped = []() -> plait::task<> {
      const bool stopped = co_await throws<plait::cancelled_error>(plait::sleep(1h));
      throw std::length_error(stopped ? "stopped" : "slept");
    };
    EXPECT_TRUE(co_await throws<std::length_error>(plait::timeout(1s, fails_when_stopped())));
  });
}

TEST(Timeout, KeepsTheResultOfAnOperandThatFinishesDespiteTheStop) {
  virtual_run([]() -> plait::task<> {
    const auto stubborn = []() -> plait::task<int> {
      const bool stopped = co_await throws<plait::cancelled_error>(plait::sleep(1h));
      co_return stopped ? 7 : 0;
    };
    EXPECT_EQ(co_await plait::timeout(1s, stubborn()), 7);
  });
}

TEST(Timeout, TheInnerDeadlineIsTheInnersToTell) {
  virtual_run([]() -> plait::task<> {
    std::string heard;
    const auto inner = [&]() -> plait::task<int> {
      try {
        co_return co_await plait::timeout(1s, after(1h, 1));
      } catch (const plait::timeout_error&) {
        heard = "inner";
      }
      co_return 2;
    };
    EXPECT_EQ(co_await plait::timeout(10s, inner()), 2);
    EXPECT_EQ(heard, "inner");
  });
}

TEST(Timeout, TheOuterDeadlineGoesThroughTheInnerAsAStop) {
  virtual_run([]() -> plait::task<> {
    std::string heard;
    const auto inner = [&]() -> plait::task<int> {
      try {
        co_return co_await plait::timeout(10s, after(1h, 1));
      } catch (const plait::timeout_error&) {
        heard = "timeout_error";
        throw;
      } catch (const plait::cancelled_error&) {
        heard = "cancelled_error";
        throw;
      }
    };
    EXPECT_TRUE(co_await throws<plait::timeout_error>(plait::timeout(1s, inner())));
    EXPECT_EQ(heard, "cancelled_error");
  });
}

// Both timers fire in one turn, in either order; the outer deadline wins.
TEST(Timeout, InnerAndOuterInTheSameTurnAreTheOuters) {
  for (const plait::duration inner_span : {plait::duration(1s), plait::duration(1s) - 1ns}) {
    virtual_run([&]() -> plait::task<> {
      std::string heard;
      const auto inner = [&]() -> plait::task<> {
        try {
          co_await plait::timeout(inner_span, plait::sleep(1h));
        } catch (const plait::timeout_error&) {
          heard = "timeout_error";
          throw;
        } catch (const plait::cancelled_error&) {
          heard = "cancelled_error";
          throw;
        }
      };
      const auto jump_past_both = []() -> plait::task<> {
        auto& clock = plait::event_loop::current().clock();
        co_await plait::sleep(500ms);
        clock.jump_to(clock.now() + 1s);
      };
      const auto outer = [&]() -> plait::task<bool> {
        co_return co_await throws<plait::timeout_error>(plait::timeout(1s, inner()));
      };
      auto [timed_out, done] = co_await plait::gather(outer(), jump_past_both());
      static_cast<void>(done);
      EXPECT_TRUE(timed_out);
      EXPECT_EQ(heard, "cancelled_error");
    });
  }
}

TEST(Timeout, AnOperandThatEndsInTheTurnOfTheDeadlineKeepsItsResult) {
  virtual_run([]() -> plait::task<> {
    EXPECT_EQ(co_await plait::timeout(1s, after(1s - 1ns, 5)), 5);
    // Both in one turn of the loop, the operand's timer first.
    auto& clock = plait::event_loop::current().clock();
    const auto jump = [&]() -> plait::task<> {
      co_await plait::sleep(100ms);
      clock.jump_to(clock.now() + 2s);
    };
    auto [value, done] = co_await plait::gather(plait::timeout(1s, after(900ms, 6)), jump());
    static_cast<void>(done);
    EXPECT_EQ(value, 6);
  });
}

TEST(Timeout, AStopFromOutsideIsNoTimeout) {
  virtual_run([]() -> plait::task<> {
    std::string heard;
    const auto bounded = [&]() -> plait::task<> {
      try {
        co_await plait::timeout(1h, plait::sleep(2h));
      } catch (const plait::timeout_error&) {
        heard = "timeout_error";
      } catch (const plait::cancelled_error&) {
        heard = "cancelled_error";
        throw;
      }
    };
    auto f = plait::spawn(bounded());
    co_await plait::sleep(1s);
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_EQ(heard, "cancelled_error");
  });
}

TEST(Timeout, OfZeroOrLessStillStartsTheOperand) {
  virtual_run([]() -> plait::task<> {
    EXPECT_EQ(co_await plait::timeout(0s, []() -> plait::task<int> { co_return 4; }()), 4);
    EXPECT_EQ(co_await plait::timeout(-1h, []() -> plait::task<int> { co_return 4; }()), 4);
    bool begun = false;
    const auto sleeps = [&]() -> plait::task<> {
      begun = true;
      co_await plait::sleep(1s);
    };
    EXPECT_TRUE(co_await throws<plait::timeout_error>(plait::timeout(0s, sleeps())));
    EXPECT_TRUE(begun);
  });
}

TEST(Timeout, OfAllTimeNeverFires) {
  virtual_run([]() -> plait::task<> {
    EXPECT_EQ(co_await plait::timeout(plait::duration::max(), after(24h * 365, 1)), 1);
    EXPECT_EQ(co_await plait::timeout(std::chrono::hours::max(), after(24h * 365, 1)), 1);
  });
}

TEST(Timeout, BoundsAFuture) {
  virtual_run([]() -> plait::task<> {
    plait::promise<int> promise;
    EXPECT_TRUE(co_await throws<plait::timeout_error>(plait::timeout(1s, promise.get_future())));
    EXPECT_TRUE(promise.cancelled());
    plait::promise<int> kept;
    kept.set_value(2);
    EXPECT_EQ(co_await plait::timeout(1s, kept.get_future()), 2);
  });
}

TEST(Timeout, BoundsAGather) {
  virtual_run([]() -> plait::task<> {
    int let_go = 0;
    const auto child = [&]() -> plait::task<> {
      if (co_await throws<plait::cancelled_error>(plait::sleep(1h))) ++let_go;
      co_await plait::sleep(1s);  // throws: the stop stays
    };
    EXPECT_TRUE(co_await throws<plait::timeout_error>(
        plait::timeout(1s, plait::gather(child(), child(), child()))));
    EXPECT_EQ(let_go, 3);
  });
}

TEST(Timeout, BoundsAQueueOperationWhichThenDidNotHappen) {
  virtual_run([]() -> plait::task<> {
    plait::queue<int> queue(1);
    EXPECT_TRUE(co_await throws<plait::timeout_error>(plait::timeout(1s, queue.get())));
    queue.put_nowait(1);
    EXPECT_EQ(queue.size(), 1u);
    EXPECT_TRUE(co_await throws<plait::timeout_error>(plait::timeout(1s, queue.put(2))));
    EXPECT_EQ(queue.get_nowait(), 1);
    EXPECT_TRUE(queue.empty());
  });
}

// The item is handed over and the deadline passes in the same turn: it must not be lost.
TEST(Timeout, AnItemHandedOverBeforeTheDeadlineArrives) {
  virtual_run([]() -> plait::task<> {
    plait::queue<int> queue;
    auto& clock = plait::event_loop::current().clock();
    const auto put_at_the_deadline = [&]() -> plait::task<> {
      co_await plait::sleep(999ms);
      clock.jump_to(clock.now() + 1s);
      queue.put_nowait(11);
    };
    auto [item, done] =
        co_await plait::gather(plait::timeout(1s, queue.get()), put_at_the_deadline());
    static_cast<void>(done);
    EXPECT_EQ(item, 11);
  });
}

TEST(Timeout, SaysHowLongItWaited) {
  virtual_run([]() -> plait::task<> {
    std::string what;
    try {
      co_await plait::timeout(1500ms, plait::sleep(1h));
    } catch (const plait::timeout_error& e) {
      what = e.what();
    }
    EXPECT_NE(what.find("1.5"), std::string::npos) << what;
  });
}

}  // namespace

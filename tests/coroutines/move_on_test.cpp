// move_on_after is a timeout that tells by its value, and only of its own deadline.
#include "plait/coroutines/move_on.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "small_tasks.hpp"
#include "virtual_run.hpp"

using namespace std::chrono_literals;
using plait::task;

namespace {

TEST(MoveOn, GivesTheValueOrNothing) {
  virtual_run([]() -> task<> {
    const auto before = virtual_now();
    EXPECT_EQ(co_await plait::move_on_after(5s, after(1s, 3)), std::optional(3));
    EXPECT_EQ(co_await plait::move_on_after(5s, after(1h, 3)), std::nullopt);
    EXPECT_EQ(virtual_now() - before, 6s);
    const auto text = []() -> task<std::unique_ptr<std::string>> {
      co_return std::make_unique<std::string>("moved");
    };
    auto moved = co_await plait::move_on_after(5s, text());
    EXPECT_EQ(moved.has_value() ? **moved : "", "moved");
  });
}

TEST(MoveOn, TellsWhetherAnOperandWithoutValueEndedInTime) {
  virtual_run([]() -> task<> {
    EXPECT_TRUE(co_await plait::move_on_after(5s, plait::sleep(1s)));
    EXPECT_FALSE(co_await plait::move_on_after(5s, plait::sleep(1h)));
    EXPECT_FALSE(co_await plait::move_on_after(0s, plait::sleep(1h)));
  });
}

TEST(MoveOn, AFailureGoesThrough) {
  virtual_run([]() -> task<> {
    const auto fails = []() -> task<> {
      co_await throws<plait::cancelled_error>(plait::sleep(1h));
      throw std::out_of_range("x");
    };
    EXPECT_TRUE(co_await throws<std::out_of_range>(plait::move_on_after(1s, fails())));
  });
}

TEST(MoveOn, KeepsTheResultOfAnOperandThatFinishesDespiteTheStop) {
  virtual_run([]() -> task<> {
    const auto stubborn = []() -> task<int> {
      co_return co_await throws<plait::cancelled_error>(plait::sleep(1h)) ? 7 : 0;
    };
    EXPECT_EQ(co_await plait::move_on_after(1s, stubborn()), std::optional(7));
  });
}

TEST(MoveOn, InnerAndOuterDeadlinesAreToldApart) {
  virtual_run([]() -> task<> {
    std::string heard;
    const auto inner = [&](plait::duration span) -> task<int> {
      heard += co_await plait::move_on_after(span, plait::sleep(1h)) ? "ended" : "inner";
      co_return 1;
    };
    EXPECT_EQ(co_await plait::move_on_after(10s, inner(1s)), std::optional(1));
    EXPECT_EQ(heard, "inner");
    EXPECT_EQ(co_await plait::move_on_after(1s, inner(10s)), std::nullopt);
    EXPECT_EQ(heard, "inner");
    EXPECT_TRUE(co_await throws<plait::timeout_error>(plait::timeout(1s, inner(10s))));
    EXPECT_EQ(heard, "inner");
    const auto bounded = []() -> task<> { co_await plait::timeout(1s, plait::sleep(1h)); };
    EXPECT_TRUE(co_await throws<plait::timeout_error>(plait::move_on_after(10s, bounded())));
  });
}

TEST(MoveOn, AStopFromOutsideGoesThrough) {
  virtual_run([]() -> task<> {
    bool moved_on = false;
    const auto body = [&]() -> task<> {
      co_await plait::move_on_after(10s, plait::sleep(1h));
      moved_on = true;
    };
    auto f = plait::spawn(body());
    co_await plait::sleep(1s);
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_FALSE(moved_on);
  });
}

TEST(MoveOn, APointInTimeIsADeadlineToo) {
  virtual_run([]() -> task<> {
    const auto start = virtual_now();
    EXPECT_FALSE(co_await plait::move_on_at(start + 5s, plait::sleep(1h)));
    EXPECT_EQ(virtual_now() - start, 5s);
    EXPECT_TRUE(
        co_await throws<plait::timeout_error>(plait::timeout_at(start + 7s, plait::sleep(1h))));
    EXPECT_EQ(virtual_now() - start, 7s);
    EXPECT_FALSE(co_await plait::move_on_at(start, plait::sleep(1h)));
    EXPECT_EQ(virtual_now() - start, 7s);
    EXPECT_EQ(co_await plait::timeout_at(plait::time_point::max(), after(1h, 2)), 2);
  });
}

}  // namespace

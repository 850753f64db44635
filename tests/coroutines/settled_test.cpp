// What settles is told as a value; what happens to the waiting task itself is not.
#include "plait/coroutines/settled.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "plait/testing/unhandled_recorder.hpp"
#include "small_tasks.hpp"
#include "virtual_run.hpp"

using namespace std::chrono_literals;
using plait::task;

namespace {

task<> nothing() { co_return; }
task<> fails() {
  throw std::out_of_range("void");
  co_return;
}

TEST(Settled, GatherGivesEveryResultAndEveryFailureInOrder) {
  const plait::testing::unhandled_recorder recorder;
  virtual_run([]() -> task<> {
    const auto before = virtual_now();
    std::vector<task<int>> tasks;
    for (int i = 0; i < 10; ++i) tasks.push_back(after((10 - i) * 1s, i % 3 == 0 ? -i - 1 : i));
    const auto results = co_await plait::gather_settled(std::move(tasks));
    EXPECT_EQ(results.size(), 10u);
    for (int i = 0; i < 10; ++i) {
      const auto& r = results[static_cast<std::size_t>(i)];
      EXPECT_EQ(r.has_value(), i % 3 != 0) << i;
      if (r) {
        EXPECT_EQ(r.value(), i);
      } else {
        EXPECT_THROW(r.value(), std::runtime_error);
      }
      EXPECT_FALSE(r.cancelled());
    }
    EXPECT_EQ(virtual_now() - before, 10s);
  });
  EXPECT_EQ(recorder.count(), 0u);
}

TEST(Settled, GatherOfDifferentTypesGivesATuple) {
  virtual_run([]() -> task<> {
    const auto text = []() -> task<std::unique_ptr<std::string>> {
      co_return std::make_unique<std::string>("text");
    };
    auto [number, string, done, failed] =
        co_await plait::gather_settled(after(1s, 5), text(), nothing(), fails());
    EXPECT_EQ(number.value(), 5);
    EXPECT_EQ(*std::move(string).value(), "text");
    EXPECT_TRUE(done.has_value());
    EXPECT_FALSE(failed.has_value());
    EXPECT_THROW(failed.value(), std::out_of_range);
  });
}

TEST(Settled, OfNothingIsEmpty) {
  virtual_run([]() -> task<> {
    EXPECT_TRUE((co_await plait::gather_settled(std::vector<task<int>>())).empty());
  });
}

TEST(Settled, ACancellationOfWhatIsAwaitedIsAResult) {
  virtual_run([]() -> task<> {
    plait::promise<int> promise;
    auto f = promise.get_future();
    f.cancel();
    const auto one = co_await plait::settle(f);
    EXPECT_TRUE(one.cancelled());
    auto [a, b] = co_await plait::gather_settled(f, after(1s, 2));
    EXPECT_TRUE(a.cancelled());
    EXPECT_EQ(b.value(), 2);
  });
}

TEST(Settled, AStopFromOutsideIsNoResult) {
  virtual_run([]() -> task<> {
    bool settled = false;
    const auto all = [&]() -> task<> {
      co_await plait::gather_settled(after(1h, 1), after(1s, -1), fails());
      settled = true;
    };
    const auto one = [&]() -> task<> {
      co_await plait::settle(after(1h, 1));
      settled = true;
    };
    auto f = plait::spawn(all());
    auto g = plait::spawn(one());
    co_await plait::sleep(10s);
    f.cancel(), g.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(g));
    EXPECT_FALSE(settled);
  });
}

TEST(Settled, KeepsTheResultsWhenAllFinishDespiteTheStop) {
  virtual_run([]() -> task<> {
    const auto stubborn = []() -> task<int> {
      const bool stopped = co_await throws<plait::cancelled_error>(plait::sleep(1h));
      if (stopped) throw std::runtime_error("stubborn");
      co_return 0;
    };
    const auto all = [&]() -> task<bool> {
      auto [a, b] = co_await plait::gather_settled(stubborn(), after(1s, 1));
      co_return !a.has_value() && b.has_value();
    };
    auto f = plait::spawn(all());
    co_await plait::sleep(10s);
    f.cancel();
    EXPECT_TRUE(co_await f);
  });
}

}  // namespace

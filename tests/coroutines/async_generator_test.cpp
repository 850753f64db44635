// Values one by one from a coroutine that may wait between them.
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "virtual_run.hpp"

namespace {

using namespace std::chrono_literals;
using plait::async_generator;

// Tells when it goes.
struct witness {
  explicit witness(int& n) : gone(n) {}
  witness(const witness&) = delete;
  ~witness() { ++gone; }
  int& gone;
};

async_generator<int> count_to(int n) {
  for (int i = 1; i <= n; ++i) co_yield i;
}
async_generator<int> ticks(int n, plait::duration pause) {
  for (int i = 1; i <= n; ++i) {
    co_await plait::sleep(pause);
    co_yield i;
  }
}

template <class T>
plait::task<std::vector<T>> all_of(async_generator<T> from) {
  std::vector<T> all;
  while (T* x = co_await from.next()) all.push_back(std::move(*x));
  co_return all;
}

TEST(AsyncGenerator, GivesItsValuesInOrderAndThenTheEnd) {
  virtual_run([]() -> plait::task<> {
    auto three = count_to(3);
    for (int i = 1; i <= 3; ++i) {
      int* x = co_await three.next();
      EXPECT_TRUE(x != nullptr && *x == i);
    }
    for (int i = 0; i < 3; ++i) {
      int* x = co_await three.next();
      EXPECT_EQ(x, nullptr) << "an end stays one";
    }
    auto none = co_await all_of(count_to(0));
    EXPECT_TRUE(none.empty());
  });
}

TEST(AsyncGenerator, MayWaitBetweenValuesAndNeverRunsAhead) {
  virtual_run([]() -> plait::task<> {
    auto clock = ticks(3, 1s);
    const auto start = virtual_now();
    co_await clock.next();
    EXPECT_EQ(virtual_now() - start, 1s);
    co_await plait::sleep(10s);
    co_await clock.next();
    EXPECT_EQ(virtual_now() - start, 12s) << "nobody asked while the consumer slept";
  });
}

TEST(AsyncGenerator, DoesNothingUntilItIsAsked) {
  int gone = 0;
  bool begun = false;
  const auto lazy = [](bool& ran, int& n) -> async_generator<int> {
    const witness w(n);
    ran = true;
    co_yield 1;
  };
  { auto unused = lazy(begun, gone); }
  EXPECT_FALSE(begun);
  EXPECT_EQ(gone, 0);
}

TEST(AsyncGenerator, DestroyedAtAYieldItCleansUpThereAndThen) {
  virtual_run([]() -> plait::task<> {
    int gone = 0;
    const auto endless = [](int& n) -> async_generator<std::string> {
      const witness w(n);
      for (;;) co_yield std::string(100, 'x');
    };
    {
      auto values = endless(gone);
      co_await values.next();
      co_await values.next();
      EXPECT_EQ(gone, 0);
    }
    EXPECT_EQ(gone, 1);
  });
}

TEST(AsyncGenerator, AnExceptionReachesWhoAsksAndEndsIt) {
  virtual_run([]() -> plait::task<> {
    int gone = 0;
    const auto failing = [](int& n) -> async_generator<int> {
      const witness w(n);
      co_yield 1;
      co_await plait::sleep(1ms);
      throw std::runtime_error("no second one");
    };
    auto values = failing(gone);
    co_await values.next();
    bool thrown = false;
    try {
      co_await values.next();
    } catch (const std::runtime_error& error) {
      thrown = std::string(error.what()) == "no second one";
    }
    EXPECT_TRUE(thrown);
    EXPECT_EQ(gone, 1);
    int* after = co_await values.next();
    EXPECT_EQ(after, nullptr);
  });
}

TEST(AsyncGenerator, AStopReachesWhatItWaitsFor) {
  virtual_run([]() -> plait::task<> {
    auto clock = ticks(3, 1h);
    const auto ask = [&]() -> plait::task<> { co_await clock.next(); };
    EXPECT_TRUE(co_await throws<plait::timeout_error>(plait::timeout(1s, ask())));
    int* after = co_await clock.next();
    EXPECT_EQ(after, nullptr) << "the stop has ended it, as an exception would";
  });
}

TEST(AsyncGenerator, AStopIsNotHeardAtAYieldItselfButAtTheNextWait) {
  virtual_run([]() -> plait::task<> {
    int got = 0;
    const auto consume = [&]() -> plait::task<> {
      auto values = ticks(10, 1s);
      while (co_await values.next()) ++got;
    };
    EXPECT_TRUE(co_await throws<plait::timeout_error>(plait::timeout(3500ms, consume())));
    EXPECT_EQ(got, 3);
  });
}

// Each value may be asked for by another flow; the stop that counts is that of the one who asks.
TEST(AsyncGenerator, ServesOneFlowAfterTheOther) {
  virtual_run([]() -> plait::task<> {
    auto clock = ticks(2, 1s);
    const auto ask = [&]() -> plait::task<int> { co_return *co_await clock.next(); };
    const int first = co_await plait::spawn(ask());
    auto second = plait::spawn(ask());
    co_await let_others_run();
    EXPECT_TRUE(co_await throws<plait::invalid_state>(ask()));
    const int then = co_await std::move(second);
    EXPECT_EQ(first, 1);
    EXPECT_EQ(then, 2);
  });
}

TEST(AsyncGenerator, GeneratorsAreMadeOfGenerators) {
  virtual_run([]() -> plait::task<> {
    const auto evens = [](async_generator<int> from) -> async_generator<int> {
      while (int* x = co_await from.next())
        if (*x % 2 == 0) co_yield *x;
    };
    const auto some = co_await all_of(evens(count_to(7)));
    EXPECT_EQ(some, (std::vector<int>{2, 4, 6}));
  });
}

struct row {
  row(std::string text, std::unique_ptr<int> n) : name(std::move(text)), number(std::move(n)) {}
  std::string name;
  std::unique_ptr<int> number;
};
TEST(AsyncGenerator, ValuesMayOnlyMoveAndAreDestroyedOnce) {
  virtual_run([]() -> plait::task<> {
    const auto rows = [](int n) -> async_generator<row> {
      for (int i = 0; i < n; ++i)
        co_yield row(std::string(50, static_cast<char>('a' + i)), std::make_unique<int>(i));
    };
    const auto all = co_await all_of(rows(3));
    EXPECT_EQ(all.size(), 3u);
    EXPECT_EQ(all[2].name, std::string(50, 'c'));
    EXPECT_EQ(*all[2].number, 2);
  });
}

TEST(AsyncGenerator, TwoMillionValuesDoNotNest) {
  virtual_run([]() -> plait::task<> {
    long sum = 0;
    auto many = count_to(2'000'000);
    while (int* x = co_await many.next()) sum += *x;
    EXPECT_EQ(sum, 2'000'001'000'000);
  });
}

}  // namespace

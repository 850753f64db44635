// What a barrier promises: nobody goes on until all have come, each round by itself.
#include "plait/coroutines/barrier.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <vector>

#include "virtual_run.hpp"

using namespace std::chrono_literals;

namespace {

TEST(Barrier, LetsAllThroughWhenTheLastHasCome) {
  virtual_run([]() -> plait::task<> {
    plait::barrier barrier{3};
    std::vector<std::size_t> indices;
    const auto party = [&]() -> plait::task<> { indices.push_back(co_await barrier.wait()); };
    auto a = plait::spawn(party());
    auto b = plait::spawn(party());
    co_await let_others_run();
    EXPECT_TRUE(indices.empty());
    EXPECT_EQ(barrier.waiting(), 2u);
    EXPECT_EQ(co_await barrier.wait(), 2u);  // the last does not wait
    EXPECT_EQ(barrier.waiting(), 0u);
    co_await a;
    co_await b;
    EXPECT_EQ(indices, (std::vector<std::size_t>{0, 1}));
    EXPECT_FALSE(barrier.broken());
    EXPECT_EQ(barrier.parties(), 3u);
  });
}

TEST(Barrier, OfOneNeverWaitsAndOfNoneIsRefused) {
  EXPECT_THROW(plait::barrier(0), std::invalid_argument);
  virtual_run([]() -> plait::task<> {
    plait::barrier barrier{1};
    EXPECT_EQ(co_await barrier.wait(), 0u);
    EXPECT_EQ(co_await barrier.wait(), 0u);
  });
}

TEST(Barrier, KeepsItsRoundsApart) {
  virtual_run([]() -> plait::task<> {
    plait::barrier barrier{5};
    std::vector<int> rounds(10, 0);
    std::size_t sum = 0;
    const auto party = [&]() -> plait::task<> {
      for (std::size_t round = 0; round < 10; ++round) {
        if (round > 0) {
          EXPECT_EQ(rounds[round - 1], 5);
        }
        ++rounds[round];
        sum += co_await barrier.wait();  // who is through comes back before the others have left
      }
    };
    std::vector<plait::task<>> parties;
    for (int i = 0; i < 5; ++i) parties.push_back(party());
    co_await plait::gather(std::move(parties));
    EXPECT_EQ(sum, 10u * (0 + 1 + 2 + 3 + 4));
    EXPECT_EQ(barrier.waiting(), 0u);
  });
}

TEST(Barrier, WithMorePartiesThanItHoldsLetsThemThroughInRounds) {
  virtual_run([]() -> plait::task<> {
    plait::barrier barrier{2};
    std::vector<std::size_t> indices;
    const auto party = [&]() -> plait::task<> { indices.push_back(co_await barrier.wait()); };
    std::vector<plait::task<>> parties;
    for (int i = 0; i < 6; ++i) parties.push_back(party());
    co_await plait::gather(std::move(parties));
    EXPECT_EQ(std::count(indices.begin(), indices.end(), 0u), 3);
    EXPECT_EQ(std::count(indices.begin(), indices.end(), 1u), 3);
  });
}

TEST(Barrier, AbortedIsBrokenForAllUntilItIsReset) {
  virtual_run([]() -> plait::task<> {
    plait::barrier barrier{3};
    const auto party = [&]() -> plait::task<bool> {
      return throws<plait::broken_barrier>(barrier.wait());
    };
    auto a = plait::spawn(party());
    auto b = plait::spawn(party());
    co_await let_others_run();
    barrier.abort();
    EXPECT_TRUE(barrier.broken());
    EXPECT_EQ(barrier.waiting(), 0u);
    EXPECT_TRUE(co_await a);
    EXPECT_TRUE(co_await b);
    EXPECT_TRUE(co_await party());  // who comes after
    barrier.abort();
    EXPECT_TRUE(barrier.broken());
    barrier.reset();
    EXPECT_FALSE(barrier.broken());
    const auto broken = co_await plait::gather(party(), party(), party());
    EXPECT_EQ(broken, std::tuple(false, false, false));
  });
}

TEST(Barrier, ResetSendsAwayWhoWaitsAndBeginsAnew) {
  virtual_run([]() -> plait::task<> {
    plait::barrier barrier{3};
    barrier.reset();  // nobody there
    const auto party = [&]() -> plait::task<bool> {
      if (co_await throws<plait::broken_barrier>(barrier.wait())) {
        co_await barrier.wait();  // again
        co_return true;
      }
      co_return false;
    };
    auto a = plait::spawn(party());
    auto b = plait::spawn(party());
    co_await let_others_run();
    barrier.reset();
    EXPECT_FALSE(barrier.broken());
    EXPECT_EQ(barrier.waiting(), 0u);
    co_await let_others_run();
    EXPECT_EQ(barrier.waiting(), 2u);
    EXPECT_FALSE(co_await party());
    EXPECT_TRUE(co_await a);
    EXPECT_TRUE(co_await b);
  });
}

TEST(Barrier, WhoIsThroughIsNotReachedByAResetOrAnAbort) {
  virtual_run([]() -> plait::task<> {
    plait::barrier barrier{3};
    const auto party = [&]() -> plait::task<bool> {
      return throws<plait::broken_barrier>(barrier.wait());
    };
    auto a = plait::spawn(party());
    auto b = plait::spawn(party());
    co_await let_others_run();
    EXPECT_EQ(co_await barrier.wait(), 2u);
    barrier.abort();  // before a and b have run
    EXPECT_FALSE(co_await a);
    EXPECT_FALSE(co_await b);
    EXPECT_TRUE(barrier.broken());
  });
}

TEST(Barrier, WhoStillWaitsWhenItGoesIsCancelled) {
  virtual_run([]() -> plait::task<> {
    auto barrier = std::make_unique<plait::barrier>(2);
    const auto party = [&]() -> plait::task<> { co_await barrier->wait(); };
    auto f = plait::spawn(party());
    co_await let_others_run();
    barrier.reset();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
  });
}

// A party is stopped before it comes, while it waits, when it has been let through, and after.
TEST(Barrier, AStopInEveryStateLeavesTheCountRight) {
  virtual_run([]() -> plait::task<> {
    plait::barrier barrier{2};
    int through = 0;
    const auto party = [&]() -> plait::task<> {
      co_await barrier.wait();
      ++through;
      co_await plait::sleep(1h);
    };
    const auto late = [&]() -> plait::task<> {  // stopped already when it comes
      co_await throws<plait::cancelled_error>(plait::sleep(1h));
      co_await party();
    };
    auto f = plait::spawn(party());  // not started
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    f = plait::spawn(late());
    co_await let_others_run();
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_EQ(barrier.waiting(), 0u);
    f = plait::spawn(party());  // waiting: it leaves, and does not count
    co_await let_others_run();
    EXPECT_EQ(barrier.waiting(), 1u);
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_EQ(barrier.waiting(), 0u);
    EXPECT_FALSE(barrier.broken());
    f = plait::spawn(party());  // let through, while the stop is on its way
    co_await let_others_run();
    f.cancel();
    EXPECT_EQ(co_await barrier.wait(), 1u);
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_EQ(through, 1);
    EXPECT_EQ(barrier.waiting(), 0u);
  });
}

}  // namespace

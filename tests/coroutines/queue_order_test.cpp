// What the queues that are not first in, first out promise beside what every queue does.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "plait/testing/seed.hpp"
#include "virtual_run.hpp"

using namespace std::chrono_literals;

namespace {

TEST(LifoQueue, GivesTheNewestItemFirst) {
  virtual_run([]() -> plait::task<> {
    plait::lifo_queue<int> queue;
    for (const int i : {1, 3, 2}) co_await queue.put(i);
    EXPECT_EQ(co_await queue.get(), 2);
    queue.put_nowait(4);
    EXPECT_EQ(queue.get_nowait(), 4);
    EXPECT_EQ(co_await queue.next(), std::optional(3));
    EXPECT_EQ(co_await queue.get(), 1);
    EXPECT_THROW(queue.get_nowait(), plait::queue_empty);
  });
}

TEST(PriorityQueue, GivesTheSmallestItemFirst) {
  virtual_run([]() -> plait::task<> {
    plait::priority_queue<int> queue;
    for (const int i : {3, 1, 2}) co_await queue.put(i);
    EXPECT_EQ(co_await queue.get(), 1);
    queue.put_nowait(0);
    EXPECT_EQ(queue.get_nowait(), 0);
    EXPECT_EQ(co_await queue.get(), 2);
    EXPECT_EQ(co_await queue.get(), 3);
  });
}

struct job {
  int urgency;
  int number;
};
struct most_urgent {
  bool operator()(const job& a, const job& b) const { return a.urgency > b.urgency; }
};

TEST(PriorityQueue, OrdersByAComparatorAndKeepsEqualItemsInTurn) {
  virtual_run([]() -> plait::task<> {
    plait::testing::random_source random;
    plait::priority_queue<job, most_urgent> queue;
    std::vector<job> expected;
    int number = 0;
    for (int round = 0; round < 200; ++round) {
      for (auto n = random.below(20); n > 0; --n) {
        const job j{static_cast<int>(random.below(5)), number++};
        expected.push_back(j);
        queue.put_nowait(j);
      }
      std::stable_sort(expected.begin(), expected.end(), most_urgent());
      for (auto n = random.below(20); n > 0 && !expected.empty(); --n) {
        const job j = queue.get_nowait();
        EXPECT_EQ(j.urgency, expected.front().urgency);
        EXPECT_EQ(j.number, expected.front().number);
        expected.erase(expected.begin());
      }
    }
    EXPECT_EQ(queue.size(), expected.size());
    co_return;
  });
}

struct shorter {
  bool operator()(const std::unique_ptr<std::string>& a,
                  const std::unique_ptr<std::string>& b) const {
    return a->size() < b->size();
  }
};

TEST(PriorityQueue, HoldsMoveOnlyItems) {
  virtual_run([]() -> plait::task<> {
    plait::priority_queue<std::unique_ptr<std::string>, shorter> queue(3);
    for (const char* text : {"ccc", "a", "bb"})
      co_await queue.put(std::make_unique<std::string>(text));
    EXPECT_TRUE(queue.full());
    EXPECT_EQ(*co_await queue.get(), "a");
    EXPECT_EQ(*co_await queue.get(), "bb");
    EXPECT_EQ(*co_await queue.get(), "ccc");
  });
}

// The place of an item that is taken goes to the put that waits longest, whatever its item.
TEST(PriorityQueue, BoundedLetsInWhoWaitsLongest) {
  virtual_run([]() -> plait::task<> {
    plait::priority_queue<int> queue(2);
    queue.put_nowait(5);
    queue.put_nowait(6);
    const auto putter = [&](int item) -> plait::task<> { co_await queue.put(item); };
    auto a = plait::spawn(putter(9));
    auto b = plait::spawn(putter(1));
    co_await let_others_run();
    EXPECT_EQ(queue.get_nowait(), 5);
    EXPECT_EQ(queue.get_nowait(), 6);  // 1 is not in yet; its place is this one
    EXPECT_EQ(queue.get_nowait(), 1);
    EXPECT_EQ(queue.get_nowait(), 9);
    co_await a;
    co_await b;
  });
}

// Everything else is queue's code; here it runs over the other storages.
template <class Queue>
class EveryQueue : public testing::Test {};
using queues =
    testing::Types<plait::queue<int>, plait::lifo_queue<int>, plait::priority_queue<int>>;
TYPED_TEST_SUITE(EveryQueue, queues);

TYPED_TEST(EveryQueue, IsBoundedJoinedAndClosed) {
  virtual_run([]() -> plait::task<> {
    TypeParam queue(3);
    long got = 0;
    const auto consumer = [&]() -> plait::task<> {
      while (const auto item = co_await queue.next()) {
        got += *item;
        co_await plait::sleep(1ms);
        queue.task_done();
      }
    };
    const auto producer = [&]() -> plait::task<> {
      for (int i = 1; i <= 100; ++i) {
        co_await queue.put(i);
        EXPECT_LE(queue.size(), 3u);
      }
      co_await queue.join();
      EXPECT_EQ(got, 5050);
      EXPECT_THROW(queue.task_done(), plait::invalid_state);
      queue.close();
    };
    co_await plait::gather(consumer(), consumer(), producer());
    EXPECT_TRUE(co_await throws<plait::queue_closed>(queue.get()));
    EXPECT_THROW(queue.put_nowait(1), plait::queue_closed);
  });
}

TYPED_TEST(EveryQueue, AStoppedPutOrGetHasDoneNothing) {
  virtual_run([]() -> plait::task<> {
    TypeParam queue(1);
    const auto getter = [&]() -> plait::task<> { co_await queue.get(); };
    const auto putter = [&]() -> plait::task<> { co_await queue.put(7); };
    auto f = plait::spawn(getter());
    co_await let_others_run();
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    queue.put_nowait(1);
    f = plait::spawn(putter());
    co_await let_others_run();
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_EQ(queue.get_nowait(), 1);
    EXPECT_TRUE(queue.empty());
  });
}

}  // namespace

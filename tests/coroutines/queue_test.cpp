// What a queue promises: every item once, in order, bounded; a stopped operation never half.
#include "plait/coroutines/queue.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "plait/testing/seed.hpp"
#include "virtual_run.hpp"

using namespace std::chrono_literals;

namespace {

TEST(Queue, GivesItemsInTheOrderInWhichTheyWerePut) {
  virtual_run([]() -> plait::task<> {
    plait::queue<int> queue;
    for (int i = 0; i < 1000; ++i) co_await queue.put(i);
    EXPECT_EQ(queue.size(), 1000u);
    for (int i = 0; i < 1000; ++i) EXPECT_EQ(co_await queue.get(), i);
    EXPECT_TRUE(queue.empty());
  });
}

TEST(Queue, KeepsItsOrderWhileItGrowsAroundItsEnd) {
  virtual_run([]() -> plait::task<> {
    plait::queue<int> queue;
    int put = 0, got = 0;
    for (int round = 0; round < 200; ++round) {
      for (int i = 0; i < round % 17 + 1; ++i) queue.put_nowait(put++);
      for (int i = 0; i < round % 13 && !queue.empty(); ++i) EXPECT_EQ(queue.get_nowait(), got++);
    }
    while (!queue.empty()) EXPECT_EQ(queue.get_nowait(), got++);
    EXPECT_EQ(put, got);
    co_return;
  });
}

TEST(Queue, HoldsMoveOnlyItems) {
  virtual_run([]() -> plait::task<> {
    plait::queue<std::unique_ptr<int>> queue(1);
    const auto consumer = [&]() -> plait::task<int> {
      const auto a = co_await queue.get();
      const auto b = co_await queue.get();
      co_return *a * 10 + *b;
    };
    auto f = plait::spawn(consumer());
    co_await queue.put(std::make_unique<int>(4));
    co_await queue.put(std::make_unique<int>(2));
    EXPECT_EQ(co_await f, 42);
  });
}

TEST(Queue, APutWaitsWhileItIsFull) {
  virtual_run([]() -> plait::task<> {
    plait::queue<int> queue(3);
    std::size_t most = 0;
    const auto producer = [&]() -> plait::task<> {
      for (int i = 0; i < 100; ++i) {
        co_await queue.put(i);
        most = std::max(most, queue.size());
      }
    };
    const auto consumer = [&]() -> plait::task<> {
      for (int i = 0; i < 100; ++i) {
        co_await plait::sleep(1s);
        EXPECT_EQ(co_await queue.get(), i);
      }
    };
    const auto before = virtual_now();
    co_await plait::gather(producer(), consumer());
    EXPECT_EQ(most, 3u);
    EXPECT_EQ(virtual_now() - before, 100s);
  });
}

TEST(Queue, ServesGettersAndPuttersFirstComeFirst) {
  virtual_run([]() -> plait::task<> {
    plait::queue<int> queue(1);
    std::vector<std::pair<int, int>> got;
    const auto getter = [&](int number) -> plait::task<> {
      const int item = co_await queue.get();
      got.emplace_back(number, item);
    };
    std::vector<plait::task<>> getters;
    for (int i = 0; i < 10; ++i) getters.push_back(getter(i));
    const auto putters = [&]() -> plait::task<> {
      co_await plait::sleep(1s);
      for (int i = 0; i < 10; ++i) co_await queue.put(i);
    };
    co_await plait::gather(plait::gather(std::move(getters)), putters());
    for (int i = 0; i < 10; ++i) EXPECT_EQ(got[static_cast<std::size_t>(i)], std::pair(i, i));

    queue.put_nowait(-1);
    std::vector<plait::future<>> waiting;
    for (int i = 0; i < 10; ++i)
      waiting.push_back(plait::spawn(
          [](plait::queue<int>& q, int n) -> plait::task<> { co_await q.put(n); }(queue, i)));
    co_await let_others_run();
    for (int i = -1; i < 10; ++i) EXPECT_EQ(co_await queue.get(), i);
  });
}

TEST(Queue, NowaitSaysFullAndEmpty) {
  virtual_run([]() -> plait::task<> {
    plait::queue<int> queue(2);
    EXPECT_THROW(queue.get_nowait(), plait::queue_empty);
    queue.put_nowait(1);
    EXPECT_FALSE(queue.full());
    queue.put_nowait(2);
    EXPECT_TRUE(queue.full());
    EXPECT_THROW(queue.put_nowait(3), plait::queue_full);
    EXPECT_EQ(queue.maxsize(), 2u);
    EXPECT_EQ(queue.get_nowait(), 1);
    EXPECT_EQ(queue.get_nowait(), 2);
    co_return;
  });
}

TEST(Queue, GetNowaitLetsInThePutterThatWaits) {
  virtual_run([]() -> plait::task<> {
    plait::queue<int> queue(1);
    queue.put_nowait(1);
    auto f = plait::spawn([](plait::queue<int>& q) -> plait::task<> { co_await q.put(2); }(queue));
    co_await let_others_run();
    EXPECT_FALSE(f.done());
    EXPECT_EQ(queue.get_nowait(), 1);
    EXPECT_EQ(queue.size(), 1u);
    co_await f;
    EXPECT_EQ(queue.get_nowait(), 2);
  });
}

TEST(Queue, JoinWaitsForEveryTaskDone) {
  virtual_run([]() -> plait::task<> {
    plait::queue<int> queue;
    co_await queue.join();  // nothing put: nothing to wait for
    int finished = 0;
    const auto worker = [&]() -> plait::task<> {
      for (;;) {
        co_await queue.get();
        co_await plait::sleep(1s);
        ++finished;
        queue.task_done();
      }
    };
    std::vector<plait::future<>> workers;
    for (int i = 0; i < 3; ++i) workers.push_back(plait::spawn(worker()));
    for (int i = 0; i < 10; ++i) queue.put_nowait(i);
    const auto joiner = [&]() -> plait::task<> {
      co_await queue.join();
      EXPECT_EQ(finished, 10);
    };
    co_await plait::gather(joiner(), joiner());
    for (auto& w : workers) {
      w.cancel();  // and waited for: they use the queue
      EXPECT_TRUE(co_await throws<plait::cancelled_error>(w));
    }
    EXPECT_THROW(queue.task_done(), plait::invalid_state);
  });
}

TEST(Queue, AStoppedJoinLeavesTheOthersWaiting) {
  virtual_run([]() -> plait::task<> {
    plait::queue<int> queue;
    queue.put_nowait(1);
    const auto joiner = [&]() -> plait::task<> { co_await queue.join(); };
    auto a = plait::spawn(joiner());
    auto b = plait::spawn(joiner());
    co_await let_others_run();
    a.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(a));
    EXPECT_FALSE(b.done());
    queue.get_nowait();
    queue.task_done();
    co_await b;
  });
}

TEST(Queue, WhoStillWaitsWhenItGoesIsCancelled) {
  virtual_run([]() -> plait::task<> {
    auto queue = std::make_unique<plait::queue<int>>(1);
    const auto getter = [&]() -> plait::task<> { co_await queue->get(); };
    const auto joiner = [&]() -> plait::task<> { co_await queue->join(); };
    const auto putter = [&]() -> plait::task<> { co_await queue->put(2); };
    std::vector<plait::future<>> waiting;
    waiting.push_back(plait::spawn(getter()));
    co_await let_others_run();
    queue.reset();
    queue = std::make_unique<plait::queue<int>>(1);
    queue->put_nowait(1);
    waiting.push_back(plait::spawn(joiner()));
    waiting.push_back(plait::spawn(putter()));
    co_await let_others_run();
    queue.reset();
    for (auto& f : waiting) EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
  });
}

// A getter is stopped before it begins, while it waits, when its item is on its way, and after.
TEST(Queue, AStopOfAGetInEveryStateLosesAndDoublesNothing) {
  virtual_run([]() -> plait::task<> {
    plait::queue<int> queue;
    std::vector<int> got;
    const auto getter = [&]() -> plait::task<> {
      got.push_back(co_await queue.get());
      co_await plait::sleep(1h);
    };
    queue.put_nowait(1);
    auto f = plait::spawn(getter());  // not started
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_EQ(queue.size(), 1u);
    const auto late = [&]() -> plait::task<> {  // stopped already when it asks
      co_await throws<plait::cancelled_error>(plait::sleep(1h));
      co_await getter();
    };
    f = plait::spawn(late());
    co_await let_others_run();
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_EQ(queue.get_nowait(), 1);

    f = plait::spawn(getter());  // waiting
    auto next = plait::spawn(getter());
    co_await let_others_run();
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    queue.put_nowait(2);
    co_await let_others_run();
    EXPECT_EQ(got, (std::vector<int>{2}));
    next.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(next));

    f = plait::spawn(getter());  // handed over
    co_await let_others_run();
    f.cancel();
    queue.put_nowait(3);
    EXPECT_TRUE(queue.empty());
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_EQ(got, (std::vector<int>{2, 3}));

    f = plait::spawn(getter());  // done
    queue.put_nowait(4);
    co_await let_others_run();
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_EQ(got, (std::vector<int>{2, 3, 4}));
    EXPECT_TRUE(queue.empty());
  });
}

TEST(Queue, AStopOfAPutInEveryStateLosesAndDoublesNothing) {
  virtual_run([]() -> plait::task<> {
    plait::queue<int> queue(1);
    std::vector<int> put;
    const auto putter = [&](int item) -> plait::task<> {
      co_await queue.put(item);
      put.push_back(item);
      co_await plait::sleep(1h);
    };
    auto f = plait::spawn(putter(1));  // not started
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_TRUE(queue.empty());
    const auto late = [&]() -> plait::task<> {  // stopped already when it asks
      co_await throws<plait::cancelled_error>(plait::sleep(1h));
      co_await putter(1);
    };
    f = plait::spawn(late());
    co_await let_others_run();
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_TRUE(queue.empty());

    queue.put_nowait(0);
    f = plait::spawn(putter(2));  // waiting
    auto next = plait::spawn(putter(3));
    co_await let_others_run();
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_EQ(queue.get_nowait(), 0);
    EXPECT_EQ(queue.size(), 1u);
    co_await let_others_run();
    next.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(next));
    EXPECT_EQ(put, (std::vector<int>{3}));

    f = plait::spawn(putter(4));  // its item is taken over while the stop is on its way
    co_await let_others_run();
    f.cancel();
    EXPECT_EQ(queue.get_nowait(), 3);
    EXPECT_EQ(queue.size(), 1u);
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_EQ(put, (std::vector<int>{3, 4}));
    EXPECT_EQ(queue.get_nowait(), 4);
    EXPECT_TRUE(queue.empty());
  });
}

TEST(Queue, ClosedGivesWhatIsThereAndTakesNoMore) {
  virtual_run([]() -> plait::task<> {
    plait::queue<int> queue;
    EXPECT_FALSE(queue.closed());
    queue.put_nowait(1);
    queue.put_nowait(2);
    queue.put_nowait(3);
    queue.close();
    queue.close();
    EXPECT_TRUE(queue.closed());
    EXPECT_THROW(queue.put_nowait(4), plait::queue_closed);
    EXPECT_TRUE(co_await throws<plait::queue_closed>(queue.put(4)));
    EXPECT_EQ(queue.size(), 3u);
    EXPECT_EQ(co_await queue.get(), 1);
    EXPECT_EQ(queue.get_nowait(), 2);
    EXPECT_EQ(co_await queue.next(), std::optional(3));
    EXPECT_TRUE(co_await throws<plait::queue_closed>(queue.get()));
    EXPECT_THROW(queue.get_nowait(), plait::queue_closed);
    EXPECT_EQ(co_await queue.next(), std::nullopt);
  });
}

TEST(Queue, NextGoesThroughTheItemsUntilTheQueueIsClosed) {
  virtual_run([]() -> plait::task<> {
    plait::queue<std::unique_ptr<int>> queue(2);
    int sum = 0;
    const auto consumer = [&]() -> plait::task<> {
      while (const auto item = co_await queue.next()) {
        sum += **item;
        queue.task_done();
      }
    };
    const auto producer = [&]() -> plait::task<> {
      for (int i = 1; i <= 100; ++i) co_await queue.put(std::make_unique<int>(i));
      queue.close();
      co_await queue.join();
    };
    co_await plait::gather(consumer(), producer(), consumer());
    EXPECT_EQ(sum, 5050);
  });
}

TEST(Queue, CloseWakesWhoWaitsForItems) {
  virtual_run([]() -> plait::task<> {
    plait::queue<int> queue;
    const auto getter = [&]() -> plait::task<bool> {
      return throws<plait::queue_closed>(queue.get());
    };
    const auto next = [&]() -> plait::task<bool> {
      co_return (co_await queue.next()) == std::nullopt;
    };
    auto a = plait::spawn(getter());
    auto b = plait::spawn(next());
    auto c = plait::spawn(getter());
    co_await let_others_run();
    queue.close();
    EXPECT_TRUE(co_await a);
    EXPECT_TRUE(co_await b);
    EXPECT_TRUE(co_await c);
  });
}

// As Python's Queue.shutdown(): a put that still waits for room is refused.
TEST(Queue, CloseRefusesThePutsThatWaitForRoom) {
  virtual_run([]() -> plait::task<> {
    plait::queue<int> queue(1);
    queue.put_nowait(0);
    const auto putter = [&](int item) { return throws<plait::queue_closed>(queue.put(item)); };
    auto a = plait::spawn(putter(1));
    auto b = plait::spawn(putter(2));
    co_await let_others_run();
    queue.close();
    EXPECT_TRUE(co_await a);
    EXPECT_TRUE(co_await b);
    EXPECT_EQ(co_await queue.get(), 0);
    EXPECT_TRUE(queue.empty());
    EXPECT_EQ(co_await queue.next(), std::nullopt);
    queue.task_done();
    EXPECT_THROW(queue.task_done(), plait::invalid_state);  // what was refused does not count
  });
}

TEST(Queue, ClosedIsJoinedOnceWhatItHeldIsDone) {
  virtual_run([]() -> plait::task<> {
    plait::queue<int> queue;
    queue.put_nowait(1);
    queue.put_nowait(2);
    queue.close();
    auto f = plait::spawn([](plait::queue<int>& q) -> plait::task<> { co_await q.join(); }(queue));
    for (int i = 0; i < 2; ++i) {
      co_await let_others_run();
      EXPECT_FALSE(f.done());
      queue.get_nowait();
      queue.task_done();
    }
    co_await f;
  });
}

TEST(Queue, AStopOfNextInEveryStateLosesNothing) {
  virtual_run([]() -> plait::task<> {
    plait::queue<int> queue;
    std::vector<int> got;
    bool ended = false;
    const auto getter = [&]() -> plait::task<> {
      while (const auto item = co_await queue.next()) got.push_back(*item);
      ended = true;
      co_await plait::sleep(1h);
    };
    auto f = plait::spawn(getter());  // waiting
    co_await let_others_run();
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    f = plait::spawn(getter());  // handed over
    co_await let_others_run();
    f.cancel();
    queue.put_nowait(1);
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_EQ(got, (std::vector<int>{1}));
    f = plait::spawn(getter());  // closed, while the stop is on its way
    co_await let_others_run();
    EXPECT_FALSE(ended);
    f.cancel();
    queue.close();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_TRUE(ended);
  });
}

TEST(Queue, AStopOfAPutThatCloseHasRefusedStaysARefusal) {
  virtual_run([]() -> plait::task<> {
    plait::queue<int> queue(1);
    queue.put_nowait(0);
    bool refused = false;
    auto f = plait::event_loop::current().submit([&]() -> plait::task<> {
      refused = co_await throws<plait::queue_closed>(queue.put(1));
      co_await plait::sleep(1h);
    });
    co_await let_others_run();
    f.cancel();
    queue.close();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_TRUE(refused);
    EXPECT_EQ(queue.size(), 1u);
  });
}

TEST(Queue, AHundredThousandWaitersMayBeStoppedAtOnceInAnyOrder) {
  virtual_run([]() -> plait::task<> {
    plait::testing::random_source random;
    plait::queue<int> empty, full(1);
    full.put_nowait(0);
    std::vector<plait::future<>> waiting;
    const auto getter = [&]() -> plait::task<> { co_await empty.get(); };
    const auto putter = [&]() -> plait::task<> { co_await full.put(1); };
    for (int i = 0; i < 50'000; ++i) {
      waiting.push_back(plait::spawn(getter()));
      waiting.push_back(plait::spawn(putter()));
    }
    co_await let_others_run();
    auto last_getter = plait::spawn(getter());
    auto last_putter = plait::spawn(putter());
    co_await let_others_run();
    for (std::size_t i = waiting.size() - 1; i > 0; --i)
      std::swap(waiting[i], waiting[static_cast<std::size_t>(random.below(i + 1))]);
    for (auto& f : waiting) f.cancel();
    int cancelled = 0;
    for (auto& f : waiting) cancelled += co_await throws<plait::cancelled_error>(f);
    EXPECT_EQ(cancelled, 100'000);
    empty.put_nowait(1);
    co_await last_getter;
    EXPECT_EQ(full.get_nowait(), 0);
    co_await last_putter;
    EXPECT_EQ(full.get_nowait(), 1);
    EXPECT_TRUE(full.empty());
  });
}

}  // namespace

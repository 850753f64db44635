// Random programs, one a primitive, each under many schedules in virtual time: tasks that wait, time
// out and are stopped in every state. Nothing is lost, doubled or left behind.
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <vector>

#include "plait/testing/explore.hpp"
#include "plait/testing/seed.hpp"
#include "plait/testing/unhandled_recorder.hpp"
#include "virtual_run.hpp"

using namespace std::chrono_literals;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t schedules = 1'000;
#else
constexpr std::uint64_t schedules = 10'000;
#endif

// Tasks of one kind, which are stopped at random, and a way to wait for a while.
class crowd {
 public:
  explicit crowd(std::uint64_t seed) : random(seed) {}

  plait::testing::random_source random;
  plait::task<> pause() { return pause_for(random.below(4)); }
  // Waits for `wait`, perhaps not for long; true if it came to its end.
  template <class Awaitable>
  plait::task<bool> patiently(Awaitable wait) {
    if (random.one_in(2)) {
      co_await std::move(wait);
      co_return true;
    }
    try {
      co_await plait::timeout(std::chrono::microseconds(random.below(4) * 500), std::move(wait));
      co_return true;
    } catch (const plait::timeout_error&) {
      co_return false;
    }
  }
  template <class F>
  void add(F body) {
    tasks_.push_back(plait::event_loop::current().submit(std::move(body)));
  }
  // Stops some of them, some before they begin and some twice, while they run.
  plait::task<> disturb() {
    for (auto n = random.below(8); n > 0; --n) {
      if (!tasks_.empty()) tasks_[static_cast<std::size_t>(random.below(tasks_.size()))].cancel();
      if (!random.one_in(3)) co_await pause();
    }
  }
  // Waits for their ends.
  plait::task<> end() {
    for (auto& f : tasks_) {
      try {
        co_await f;
      } catch (const plait::cancelled_error&) {
      }
    }
  }
  void stop_all() {
    for (auto& f : tasks_) f.cancel();
  }

 private:
  static plait::task<> pause_for(std::uint64_t turns) {
    co_await plait::sleep(std::chrono::microseconds(turns * 500));
  }
  std::vector<plait::future<>> tasks_;
};

// Runs `program(crowd&)` under many seeds, of which each also shuffles what runs when.
template <class F>
void under_many_schedules(F program) {
  const plait::testing::unhandled_recorder recorder;
  plait::testing::explore(schedules, [&](std::uint64_t seed) -> plait::task<> {
    crowd people(seed);
    co_await program(people);
  });
  EXPECT_TRUE(recorder.entries().empty());
}

TEST(SynchronisationChaos, ALockIsNeverSharedNorLost) {
  under_many_schedules([](crowd& people) -> plait::task<> {
    plait::lock lock;
    int inside = 0;
    const auto visit = [&]() -> plait::task<> {
      for (auto n = 1 + people.random.below(3); n > 0; --n) {
        std::optional<plait::lock::holder> held;
        if (people.random.one_in(3)) {
          held = lock.try_acquire();
        } else if (people.random.one_in(2)) {
          held = co_await lock.acquire();
        } else {
          try {
            held = co_await plait::timeout(500us * people.random.below(4), lock.acquire());
          } catch (const plait::timeout_error&) {
          }
        }
        if (!held) continue;
        EXPECT_EQ(++inside, 1);
        const struct leave {
          int& count;
          ~leave() { --count; }
        } guard{inside};
        co_await people.pause();
      }
    };
    for (auto n = 2 + people.random.below(6); n > 0; --n) people.add(visit);
    co_await people.disturb();
    co_await people.end();  // a lost lock would leave somebody waiting here
    EXPECT_FALSE(lock.locked());
    EXPECT_TRUE(lock.try_acquire().has_value());
  });
}

TEST(SynchronisationChaos, ASemaphoreKeepsItsPermits) {
  under_many_schedules([](crowd& people) -> plait::task<> {
    const std::size_t permits = 1 + people.random.below(3);
    plait::semaphore semaphore{permits};
    std::size_t inside = 0;
    const auto visit = [&]() -> plait::task<> {
      for (auto n = 1 + people.random.below(3); n > 0; --n) {
        std::optional<plait::semaphore::permit> permit;
        if (people.random.one_in(3)) {
          permit = semaphore.try_acquire();
        } else if (people.random.one_in(2)) {
          permit = co_await semaphore.acquire();
        } else {
          try {
            permit = co_await plait::timeout(500us * people.random.below(4), semaphore.acquire());
          } catch (const plait::timeout_error&) {
          }
        }
        if (!permit) continue;
        EXPECT_LE(++inside, permits);
        const struct leave {
          std::size_t& count;
          ~leave() { --count; }
        } guard{inside};
        co_await people.pause();
      }
    };
    for (auto n = 2 + people.random.below(6); n > 0; --n) people.add(visit);
    co_await people.disturb();
    co_await people.end();
    EXPECT_EQ(semaphore.available(), permits);
  });
}

TEST(SynchronisationChaos, AnEventThatIsSetLeavesNobodyWaiting) {
  under_many_schedules([](crowd& people) -> plait::task<> {
    plait::event event;
    const auto wait = [&]() -> plait::task<> {
      for (auto n = 1 + people.random.below(3); n > 0; --n) co_await people.patiently(event.wait());
    };
    for (auto n = 2 + people.random.below(6); n > 0; --n) people.add(wait);
    for (auto n = people.random.below(4); n > 0; --n) {
      co_await people.disturb();
      event.set();
      if (people.random.one_in(2)) co_await people.pause();
      event.clear();
    }
    co_await people.disturb();
    event.set();
    co_await people.end();
  });
}

// Tokens in a box under a lock: a lost notification would leave a taker waiting beside a full box.
TEST(SynchronisationChaos, AConditionLosesNoNotificationAndNoLock) {
  under_many_schedules([](crowd& people) -> plait::task<> {
    plait::lock lock;
    plait::condition changed;
    int box = 0, given = 0, taken = 0;
    const auto take = [&]() -> plait::task<> {
      for (auto n = 1 + people.random.below(3); n > 0; --n) {
        auto held = co_await lock.acquire();
        bool came = false;
        try {
          came = co_await people.patiently(changed.wait(held, [&] { return box > 0; }));
        } catch (const plait::cancelled_error&) {
          EXPECT_TRUE(held && lock.locked()) << "a wait was stopped without its lock";
          throw;
        }
        EXPECT_TRUE(held && lock.locked()) << "a wait ended without its lock";
        EXPECT_FALSE(lock.try_acquire().has_value());
        if (came) {
          EXPECT_GT(box, 0);
          --box;
          ++taken;
        }
        if (people.random.one_in(3)) co_await people.pause();  // and holds the lock
      }
    };
    const auto give = [&]() -> plait::task<> {
      for (auto n = 1 + people.random.below(4); n > 0; --n) {
        co_await people.pause();
        const auto held = co_await lock.acquire();
        ++box;
        ++given;
        changed.notify();
        if (people.random.one_in(3)) co_await people.pause();
      }
    };
    for (auto n = 1 + people.random.below(5); n > 0; --n) people.add(take);
    for (auto n = 1 + people.random.below(3); n > 0; --n) people.add(give);
    co_await people.disturb();
    co_await plait::sleep(1s);
    if (box > 0) {  // then nobody may be waiting for it
      const int before = taken;
      changed.notify_all();
      co_await plait::sleep(1s);
      EXPECT_EQ(taken, before) << "somebody waited beside a full box";
    }
    people.stop_all();
    co_await people.end();
    EXPECT_EQ(given, taken + box);
    EXPECT_FALSE(lock.locked());
  });
}

TEST(SynchronisationChaos, ABarrierLetsThroughWholeRounds) {
  under_many_schedules([](crowd& people) -> plait::task<> {
    const std::size_t parties = 1 + people.random.below(4);
    plait::barrier barrier{parties};
    std::vector<std::size_t> through(parties, 0);
    const auto party = [&]() -> plait::task<> {
      for (auto n = 1 + people.random.below(4); n > 0; --n) {
        try {
          const auto index = co_await barrier.wait();
          EXPECT_LT(index, parties);
          ++through[index];
        } catch (const plait::broken_barrier&) {
        }
        if (people.random.one_in(2)) co_await people.pause();
      }
    };
    for (auto n = 2 + people.random.below(6); n > 0; --n) people.add(party);
    for (auto n = people.random.below(3); n > 0; --n) {
      co_await people.disturb();
      if (people.random.one_in(3)) barrier.abort();
      if (people.random.one_in(2)) barrier.reset();
    }
    co_await plait::sleep(1s);
    EXPECT_LT(barrier.waiting(), parties);
    people.stop_all();
    co_await people.end();
    EXPECT_EQ(barrier.waiting(), 0u);
    for (const std::size_t n : through) EXPECT_EQ(n, through[0]) << "an index was given too often";
  });
}

template <class Queue>
plait::task<> queue_program(crowd& people) {
  Queue queue(static_cast<std::size_t>(people.random.below(3)));
  enum class fate : std::uint8_t { offered, refused, queued, got };
  std::map<int, fate> items;
  const auto put = [&]() -> plait::task<> {
    for (auto n = 1 + people.random.below(4); n > 0; --n) {
      const int id = static_cast<int>(items.size() * 7919 % 1000 + items.size() * 1000);
      items[id] = fate::offered;
      const auto refuse = [&] {
        EXPECT_EQ(items[id], fate::offered) << "refused, and yet somebody got it";
        items[id] = fate::refused;
      };
      try {
        if (people.random.one_in(4)) {
          queue.put_nowait(id);
        } else {
          co_await queue.put(id);
        }
        if (items[id] == fate::offered) items[id] = fate::queued;
      } catch (const plait::cancelled_error&) {
        refuse();
        throw;
      } catch (const plait::queue_full&) {
        refuse();
      } catch (const plait::queue_closed&) {
        refuse();
        EXPECT_TRUE(queue.closed());
      }
      if (people.random.one_in(3)) co_await people.pause();
    }
  };
  const auto got = [&](int id) {
    EXPECT_TRUE(items[id] == fate::offered || items[id] == fate::queued) << "doubled or refused";
    items[id] = fate::got;
    queue.task_done();
  };
  int getting = 0;
  const auto get = [&]() -> plait::task<> {
    ++getting;
    const struct leave {
      int& count;
      ~leave() { --count; }
    } guard{getting};
    for (auto n = 1 + people.random.below(4); n > 0; --n) {
      try {
        if (people.random.one_in(4)) {
          got(queue.get_nowait());
        } else if (people.random.one_in(2)) {
          got(co_await queue.get());
        } else if (const auto item = co_await queue.next()) {
          got(*item);
        } else {
          EXPECT_TRUE(queue.closed() && queue.empty());
        }
      } catch (const plait::queue_empty&) {
      } catch (const plait::queue_closed&) {
        EXPECT_TRUE(queue.closed() && queue.empty());
      }
      if (people.random.one_in(3)) co_await people.pause();
    }
  };
  const auto join = [&]() -> plait::task<> { co_await queue.join(); };
  for (auto n = 1 + people.random.below(4); n > 0; --n) people.add(put);
  for (auto n = 1 + people.random.below(4); n > 0; --n) people.add(get);
  if (people.random.one_in(2)) people.add(join);
  co_await people.disturb();
  if (people.random.one_in(2)) queue.close();
  co_await people.disturb();
  co_await plait::sleep(1s);
  if (queue.closed()) {
    EXPECT_EQ(getting, 0) << "somebody waits in a closed queue";
  }
  people.stop_all();
  co_await people.end();
  while (!queue.empty()) got(queue.get_nowait());
  for (const auto& [id, end] : items)
    EXPECT_TRUE(end == fate::got || end == fate::refused) << "an item was lost";
  EXPECT_THROW(queue.task_done(), plait::invalid_state);
  co_await queue.join();
}

TEST(SynchronisationChaos, AQueueGivesEveryItemOnce) {
  under_many_schedules(queue_program<plait::queue<int>>);
}
TEST(SynchronisationChaos, ALifoQueueGivesEveryItemOnce) {
  under_many_schedules(queue_program<plait::lifo_queue<int>>);
}
TEST(SynchronisationChaos, APriorityQueueGivesEveryItemOnce) {
  under_many_schedules(queue_program<plait::priority_queue<int>>);
}

}  // namespace

// 125,000 seeded schedules of random programs of everything that can wait, fail, be stopped and be
// handed over: no item lost or doubled, no permit lost, nothing hangs, nothing is left running.
// A seed decides the program and the order in which its tasks run.
#include <gtest/gtest.h>

#include <initializer_list>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "plait/testing/explore.hpp"
#include "plait/testing/unhandled_recorder.hpp"
#include "virtual_run.hpp"

using namespace std::chrono_literals;

namespace {

// Of each of the five tests.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t schedules = 5'000;
#else
constexpr std::uint64_t schedules = 25'000;
#endif

struct planned_failure : std::runtime_error {
  planned_failure() : std::runtime_error("planned") {}
};

// What a task may do next. From `permit` on they have steps inside.
enum class act {
  sleep,
  put,
  get,
  cancel,
  fail,
  spawn,
  permit,
  gather,
  timeout,
  own_task,
  group,
  race,
  shield,
  move_on
};
using mix = std::vector<act>;

class chaos {
 public:
  chaos(std::uint64_t seed, const mix& acts)
      : random_(seed),
        acts_(acts),
        queue_(random_.below(4)),
        permits_(1 + random_.below(3)),
        semaphore_(permits_) {}

  plait::task<> program() {
    for (std::uint64_t n = 3 + random_.below(6); n > 0; --n) spawn_actor();
    for (std::uint64_t n = random_.below(6); n > 0; --n) {
      co_await plait::sleep(random_span());
      cancel_one();
    }
    co_await plait::sleep(1s);
    // The rest waits for what will never come. Actors may spawn actors while they end.
    for (std::size_t i = 0; i < actors_.size(); ++i) {
      actors_[i].cancel();
      co_await settled(actors_[i]);
    }
    check();
  }

 private:
  enum class item : std::uint8_t { offered, refused, queued, got };

  plait::duration random_span() { return std::chrono::microseconds(random_.below(6) * 500); }

  void spawn_actor() {
    if (actors_.size() < 40) actors_.push_back(plait::spawn(actor()));
  }
  void cancel_one() {
    if (!actors_.empty()) actors_[static_cast<std::size_t>(random_.below(actors_.size()))].cancel();
  }
  static plait::task<> settled(plait::future<> f) {
    try {
      co_await f;
    } catch (const plait::cancelled_error&) {
    } catch (const plait::timeout_error&) {
    } catch (const planned_failure&) {
    } catch (const plait::exception_group&) {
    }
  }

  plait::task<> actor() {
    ++live_;
    const counted guard{live_};
    for (std::uint64_t n = 1 + random_.below(5); n > 0; --n) co_await step(3);
  }
  plait::task<> step(int depth) {
    ++live_;
    const counted guard{live_};
    const act chosen = acts_[static_cast<std::size_t>(random_.below(acts_.size()))];
    // Not deeper: the rest of the budget is spent on leaves.
    switch (depth == 0 && chosen >= act::permit ? act::sleep : chosen) {
      case act::sleep:
        co_await plait::sleep(random_span());
        break;
      case act::put:
        co_await put();
        break;
      case act::get:
        co_await get();
        break;
      case act::cancel:
        cancel_one();
        break;
      case act::fail:
        if (random_.one_in(4)) throw planned_failure();
        break;
      case act::spawn:
        spawn_actor();
        break;
      case act::permit:
        co_await inside(depth);
        break;
      case act::gather:
        if (random_.one_in(2)) {
          co_await gather_some(depth);
        } else {
          co_await gather_three(depth);
        }
        break;
      case act::timeout:
        co_await bounded(depth);
        break;
      case act::own_task:
        co_await of_its_own(depth);
        break;
      case act::group:
        co_await a_group(depth);
        break;
      case act::race:
        co_await plait::race(step(depth - 1), step(depth - 1));
        break;
      case act::shield:
        co_await plait::shield(shielded(depth));
        break;
      case act::move_on:
        co_await plait::move_on_after(random_span(), step(depth - 1));
        break;
    }
  }
  plait::task<> put() {
    const std::size_t id = items_.size();
    items_.push_back(item::offered);
    try {
      co_await queue_.put(id);
    } catch (const plait::cancelled_error&) {
      EXPECT_EQ(items_[id], item::offered) << "refused, and yet somebody got it";
      items_[id] = item::refused;
      throw;
    }
    if (items_[id] == item::offered) items_[id] = item::queued;
  }
  plait::task<> get() {
    const std::size_t id = co_await queue_.get();
    EXPECT_NE(items_[id], item::got) << "an item was doubled";
    EXPECT_NE(items_[id], item::refused) << "an item came though its put was refused";
    items_[id] = item::got;
    queue_.task_done();
  }
  plait::task<> inside(int depth) {
    const auto permit = co_await semaphore_.acquire();
    EXPECT_LE(++inside_, permits_);
    const struct leave {
      std::size_t& n;
      ~leave() { --n; }
    } guard{inside_};
    co_await step(depth > 2 ? 1 : 0);
  }
  plait::task<> gather_some(int depth) {
    std::vector<plait::task<>> children;
    for (std::uint64_t n = random_.below(5); n > 0; --n) children.push_back(step(depth - 1));
    co_await plait::gather(std::move(children));
  }
  plait::task<> gather_three(int depth) {
    co_await plait::gather(step(depth - 1), plait::sleep(random_span()), get());
  }
  plait::task<> bounded(int depth) {
    try {
      co_await plait::timeout(random_span(), step(depth - 1));
    } catch (const plait::timeout_error&) {
    }
  }
  plait::task<> of_its_own(int depth) {
    auto f = plait::spawn(step(depth - 1));
    if (random_.one_in(3)) f.cancel();
    co_await settled(f);
  }

  plait::task<> a_group(int depth) {
    int children = 0;
    const auto child = [&](int d) -> plait::task<> {
      ++children;
      const counted guard{children};
      co_await step(d);
    };
    const auto body = [&](plait::task_group& group) -> plait::task<> {
      for (std::uint64_t n = random_.below(4); n > 0; --n) group.start(child, depth - 1);
      co_await step(depth - 1);
      if (random_.one_in(4)) group.cancel();
    };
    try {
      co_await plait::with_task_group(body);
    } catch (...) {
      EXPECT_EQ(children, 0) << "a child has outlived its group";
      throw;
    }
    EXPECT_EQ(children, 0) << "a child has outlived its group";
  }
  // Ends by itself: a stop from outside does not reach it.
  plait::task<> shielded(int depth) {
    co_await bounded(depth);
    co_await plait::sleep(random_span());
  }

  void check() {
    EXPECT_EQ(live_, 0) << "a frame is still there";
    EXPECT_EQ(inside_, 0u);
    EXPECT_EQ(semaphore_.available(), permits_) << "a permit was lost";
    while (!queue_.empty()) {
      const std::size_t id = queue_.get_nowait();
      EXPECT_EQ(items_[id], item::queued);
      items_[id] = item::got;
      queue_.task_done();
    }
    for (const item i : items_) EXPECT_TRUE(i == item::got || i == item::refused) << "item lost";
    EXPECT_THROW(queue_.task_done(), plait::invalid_state);
  }

  struct counted {
    int& n;
    ~counted() { --n; }
  };
  plait::testing::random_source random_;
  const mix& acts_;
  plait::queue<std::size_t> queue_;
  std::size_t permits_;
  plait::semaphore semaphore_;
  std::vector<plait::future<>> actors_;
  std::vector<item> items_;
  std::size_t inside_ = 0;
  int live_ = 0;
};

void survive(const mix& acts) {
  const plait::testing::unhandled_recorder recorder;  // failures that nobody awaited are planned
  const auto program = [&](std::uint64_t seed) -> plait::task<> {
    chaos world(seed, acts);
    co_await world.program();
  };
  const auto explored = plait::testing::explore(schedules, program);
  testing::Test::RecordProperty("different_ways", std::to_string(explored.different_ways));
  std::cout << explored.different_ways << " different ways\n";
  for (const auto& heard : recorder.entries())
    ASSERT_NE(heard.message.find("planned"), std::string::npos);
}

TEST(Chaos, AQueueLosesAndDoublesNothing) {
  survive({act::put, act::put, act::get, act::get, act::sleep, act::cancel, act::timeout});
}

TEST(Chaos, ASemaphoreLosesNoPermit) {
  survive({act::permit, act::permit, act::sleep, act::cancel, act::timeout, act::fail});
}

TEST(Chaos, NothingOutlivesWhoWaitsForIt) {
  survive({act::gather, act::gather, act::timeout, act::own_task, act::sleep, act::fail,
           act::cancel, act::get});
}

TEST(Chaos, NothingOutlivesItsGroupItsRaceOrItsShield) {
  survive({act::group, act::group, act::race, act::shield, act::move_on, act::sleep, act::fail,
           act::cancel, act::put, act::get});
}

TEST(Chaos, EverythingAtOnce) {
  survive({act::sleep, act::put, act::put, act::get, act::get, act::cancel, act::fail, act::spawn,
           act::permit, act::gather, act::timeout, act::timeout, act::own_task, act::group,
           act::race, act::shield, act::move_on});
}

}  // namespace

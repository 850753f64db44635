// Seeded random programs of everything that can wait, fail, be stopped and be handed over, each in
// virtual time: no item lost or doubled, no permit lost, nothing left running.
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <vector>

#include "plait/testing/seed.hpp"
#include "plait/testing/unhandled_recorder.hpp"
#include "virtual_run.hpp"

using namespace std::chrono_literals;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int schedules = 2'000;
#else
constexpr int schedules = 30'000;
#endif

struct planned_failure : std::runtime_error {
  planned_failure() : std::runtime_error("planned") {}
};

class chaos {
 public:
  explicit chaos(std::uint64_t seed)
      : random_(seed),
        queue_(random_.below(4)),
        permits_(1 + random_.below(3)),
        semaphore_(permits_) {}

  plait::task<> program() {
    for (std::uint64_t n = 2 + random_.below(6); n > 0; --n) spawn_actor();
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
    switch (random_.below(depth > 0 ? 14 : 7)) {
      case 0:
        co_await plait::sleep(random_span());
        break;
      case 1:
      case 2:
        co_await put();
        break;
      case 3:
      case 4:
        co_await get();
        break;
      case 5:
        cancel_one();
        break;
      case 6:
        if (random_.one_in(4)) throw planned_failure();
        break;
      case 7:
        co_await inside(depth);
        break;
      case 8:
        co_await gather_some(depth);
        break;
      case 9:
        co_await plait::gather(step(depth - 1), plait::sleep(random_span()), get());
        break;
      case 10:
      case 11:
        co_await bounded(depth);
        break;
      case 12:
        spawn_actor();
        break;
      case 13:
        co_await of_its_own(depth);
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
  plait::queue<std::size_t> queue_;
  std::size_t permits_;
  plait::semaphore semaphore_;
  std::vector<plait::future<>> actors_;
  std::vector<item> items_;
  std::size_t inside_ = 0;
  int live_ = 0;
};

TEST(Chaos, NothingIsLostDoubledOrLeftBehind) {
  const plait::testing::unhandled_recorder recorder;  // failures that nobody awaited are planned
  plait::testing::random_source seeds;
  for (int i = 0; i < schedules; ++i) {
    const std::uint64_t seed = seeds.next();
    SCOPED_TRACE(testing::Message() << "schedule " << i << ", seed " << seed);
    chaos world(seed);
    virtual_run([&] { return world.program(); });
    if (HasFailure()) return;
  }
  for (const auto& heard : recorder.entries()) ASSERT_EQ(heard.message, "planned");
}

}  // namespace

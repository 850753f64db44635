// What a task group promises: it ends when everything that was started in it has ended.
#include "plait/coroutines/task_group.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "small_tasks.hpp"
#include "virtual_run.hpp"

using namespace std::chrono_literals;
using plait::task;
using plait::task_group;

namespace {

TEST(TaskGroup, EndsWhenEveryChildHasEnded) {
  virtual_run([]() -> task<> {
    const auto before = virtual_now();
    int ended = 0;
    const auto child = [&ended](int i) -> task<> {
      co_await plait::sleep(i * 1s);
      ++ended;
    };
    co_await plait::with_task_group([&](task_group& group) -> task<> {
      for (int i = 0; i < 10; ++i) group.start(child, i);
      EXPECT_EQ(group.size(), 10u);
      co_return;
    });
    EXPECT_EQ(ended, 10);
    EXPECT_EQ(virtual_now() - before, 9s);
  });
}

TEST(TaskGroup, GivesWhatItsBodyGives) {
  virtual_run([]() -> task<> {
    auto text = co_await plait::with_task_group(
        [](task_group& group) -> task<std::unique_ptr<std::string>> {
          auto a = group.start(after, 2s, 40);
          auto b = group.start(after(1s, 2));
          co_return std::make_unique<std::string>(std::to_string(co_await a + co_await b));
        });
    EXPECT_EQ(*text, "42");
  });
}

TEST(TaskGroup, WithoutChildrenIsItsBody) {
  virtual_run([]() -> task<> {
    co_await plait::with_task_group([](task_group&) -> task<> { co_return; });
    EXPECT_EQ(co_await plait::with_task_group([](task_group&) { return after(1s, 3); }), 3);
  });
}

TEST(TaskGroup, ThatIsNotAwaitedDoesNothing) {
  virtual_run([]() -> task<> {
    bool ran = false;
    auto watched = std::make_shared<int>(0);
    {
      auto scope = plait::with_task_group([&ran, watched](task_group&) -> task<> {
        ran = true;
        co_return;
      });
      EXPECT_EQ(watched.use_count(), 2);
    }
    EXPECT_EQ(watched.use_count(), 1);
    EXPECT_FALSE(ran);
    co_return;
  });
}

// A lambda that captures, and arguments that are temporaries, live in the child.
TEST(TaskGroup, KeepsTheCallableAndItsArgumentsAsLongAsTheChildRuns) {
  virtual_run([]() -> task<> {
    auto watched = std::make_shared<int>(0);
    std::string seen;
    co_await plait::with_task_group([&](task_group& group) -> task<> {
      group.start(
          [watched, &seen](const std::string& text) -> task<> {
            co_await plait::sleep(1s);
            seen = text + std::to_string(watched.use_count());
          },
          std::string("a text that is too long for the small buffer "));
      co_return;
    });
    EXPECT_EQ(seen, "a text that is too long for the small buffer 2");
    EXPECT_EQ(watched.use_count(), 1);
  });
}

TEST(TaskGroup, StartsAnyAwaitable) {
  plait::thread_pool_executor pool;
  plait::run([](plait::thread_pool_executor& threads) -> task<> {
    co_await plait::with_task_group([&](task_group& group) -> task<> {
      plait::queue<int> queue;
      auto item = group.start(queue.get());
      auto computed = group.start(threads.submit([] { return 5; }));
      group.start(plait::sleep(1ms));
      queue.put_nowait(6);
      EXPECT_EQ(co_await item, 6);
      EXPECT_EQ(co_await computed, 5);
    });
  }(pool));
}

task<> tree(task_group& group, int& started, int depth) {
  ++started;
  co_await plait::sleep(1s);
  if (depth == 0) co_return;
  for (int i = 0; i < 2; ++i) group.start(tree, std::ref(group), std::ref(started), depth - 1);
}

TEST(TaskGroup, ChildrenMayStartFurtherChildrenAfterTheBodyHasEnded) {
  virtual_run([]() -> task<> {
    int started = 0;
    co_await plait::with_task_group([&](task_group& group) -> task<> {
      group.start(tree, std::ref(group), std::ref(started), 5);
      co_return;
    });
    EXPECT_EQ(started, 63);
  });
}

TEST(TaskGroup, AFutureMayOutliveItsGroup) {
  plait::future<int> kept;
  virtual_run([&]() -> task<> {
    co_await plait::with_task_group([&](task_group& group) -> task<> {
      kept = group.start(after, 1s, 77);
      co_return;
    });
    EXPECT_FALSE(kept.cancel());
  });
  EXPECT_EQ(kept.get(), 77);
}

TEST(TaskGroup, ChildrenHaveNamesAndInheritTaskLocals) {
  virtual_run([]() -> task<> {
    const plait::task_local<int> depth;
    const auto scope = depth.bind(5);
    const auto look = [&]() -> task<std::string> {
      co_await plait::sleep(1s);
      co_return std::string(plait::current_task().name()) + std::to_string(depth.get());
    };
    co_await plait::with_task_group([&](task_group& group) -> task<> {
      auto named = group.with({.name = "child"}).start(std::ref(look));
      auto unnamed = group.start(std::ref(look));
      EXPECT_EQ(co_await named, "child5");
      EXPECT_EQ(co_await unnamed, "5");
    });
  });
}

TEST(TaskGroup, AVisitorSeesTheChildrenWhileTheBodyAwaitsSomethingElse) {
  virtual_run([]() -> task<> {
    struct names final : plait::detail::flow_visitor {
      void visit(const plait::detail::context& flow) override {
        seen.push_back(std::string(flow.own_name()) + ": " +
                       (flow.waiting() != nullptr ? flow.waiting()->waits_for() : "runs"));
        EXPECT_NE(flow.parent(), nullptr);
        if (flow.waiting() != nullptr) flow.waiting()->visit_children(*this);
      }
      std::vector<std::string> seen;
    };
    plait::detail::context* observed = nullptr;
    const auto scope = [&]() -> task<> {
      observed = plait::detail::context::running();
      co_await plait::with_task_group([&](task_group& group) -> task<> {
        plait::current_task().set_name("body");
        group.with({.name = "a"}).start(plait::sleep(1h));
        group.with({.name = "b"}).start(plait::timeout(1h, plait::sleep(2h)));
        co_await plait::sleep(10s);
        group.cancel();
      });
    };
    auto f = plait::spawn(scope());
    co_await plait::sleep(1s);
    names visitor;
    EXPECT_EQ(observed->waiting()->waits_for(), "task group of 2 and its body");
    observed->waiting()->visit_children(visitor);
    EXPECT_EQ(visitor.seen.size(), 4u);
    if (visitor.seen.size() == 4) {
      EXPECT_EQ(visitor.seen[0].substr(0, 5), "body:");
      EXPECT_EQ(visitor.seen[1].substr(0, 2), "a:");
      EXPECT_EQ(visitor.seen[2].substr(0, 2), "b:");
      EXPECT_EQ(visitor.seen[3].substr(0, 6), ": the ");
    }
    co_await f;
  });
}

TEST(TaskGroup, AMillionChildrenOneAfterTheOtherLeaveNothingBehind) {
  virtual_run([]() -> task<> {
    int ended = 0;
    const auto child = [&]() -> task<> {
      ++ended;
      co_return;
    };
    co_await plait::with_task_group([&](task_group& group) -> task<> {
      for (int i = 0; i < 1'000'000; ++i) {
        group.start(std::ref(child));
        if (i % 1000 == 999) co_await let_others_run();
        EXPECT_LE(group.size(), 1000u);
      }
    });
    EXPECT_EQ(ended, 1'000'000);
  });
}

}  // namespace

// What a task group promises: nothing outlives it, the first failure stops the rest, none is lost.
#include "plait/coroutines/task_group.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "plait/testing/unhandled_recorder.hpp"
#include "virtual_run.hpp"

using namespace std::chrono_literals;
using plait::task;
using plait::task_group;

namespace {

task<int> after(plait::duration span, int value) {
  co_await plait::sleep(span);
  co_return value;
}
task<> fail_after(plait::duration span, std::string what) {
  co_await plait::sleep(span);
  throw std::runtime_error(what);
}
// Sleeps for ever; says when it was stopped.
task<> until_stopped(int& stopped) {
  try {
    co_await plait::sleep(24h * 365);
  } catch (const plait::cancelled_error&) {
    ++stopped;
    throw;
  }
}

// The messages of the failures that `scope` throws as a group, joined; "cancelled" if it is.
template <class Scope>
task<std::string> failures_of(Scope scope) {
  std::string messages;
  try {
    co_await std::move(scope);
  } catch (const plait::exception_group& group) {
    group.visit<std::exception>([&](const std::exception& e) {
      messages += (messages.empty() ? "" : ", ") + std::string(e.what());
    });
  } catch (const plait::cancelled_error&) {
    messages = "cancelled";
  }
  co_return messages;
}

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

TEST(TaskGroup, TheFirstFailureStopsTheOthersAndTheBody) {
  virtual_run([]() -> task<> {
    const auto before = virtual_now();
    int stopped = 0;
    bool body_stopped = false;
    const auto failures =
        co_await failures_of(plait::with_task_group([&](task_group& group) -> task<> {
          for (int i = 0; i < 5; ++i) group.start(until_stopped, std::ref(stopped));
          group.start(fail_after, 1s, "first");
          body_stopped = co_await throws<plait::cancelled_error>(plait::sleep(1h));
        }));
    EXPECT_EQ(failures, "first");
    EXPECT_EQ(stopped, 5);
    EXPECT_TRUE(body_stopped);
    EXPECT_EQ(virtual_now() - before, 1s);
  });
}

TEST(TaskGroup, ABodyThatThrowsIsAFailureToo) {
  virtual_run([]() -> task<> {
    int stopped = 0;
    const auto failures =
        co_await failures_of(plait::with_task_group([&](task_group& group) -> task<> {
          group.start(until_stopped, std::ref(stopped));
          co_await plait::sleep(1s);
          throw std::runtime_error("body");
        }));
    EXPECT_EQ(failures, "body");
    EXPECT_EQ(stopped, 1);
  });
}

TEST(TaskGroup, ABodyThatThrowsBeforeItIsACoroutineOpensNothing) {
  virtual_run([]() -> task<> {
    const auto body = [](task_group&) -> task<> { throw std::out_of_range("plain function"); };
    EXPECT_TRUE(co_await throws<std::out_of_range>(plait::with_task_group(body)));
    co_await plait::sleep(1s);
  });
}

constexpr const char* three[] = {"one", "two", "three"};

TEST(TaskGroup, EveryFailureOfOneTurnIsInTheGroup) {
  const plait::testing::unhandled_recorder recorder;
  virtual_run([]() -> task<> {
    const auto failures =
        co_await failures_of(plait::with_task_group([](task_group& group) -> task<> {
          for (const char* what : three) group.start(fail_after, 1s, what);
          co_await plait::sleep(1s);
          throw std::runtime_error("body");
        }));
    EXPECT_EQ(failures, "body, one, two, three");
  });
  EXPECT_EQ(recorder.count(), 0u);
}

TEST(TaskGroup, AFailureWhileStoppingIsInTheGroupToo) {
  virtual_run([]() -> task<> {
    const auto fails_when_stopped = []() -> task<> {
      const bool stopped = co_await throws<plait::cancelled_error>(plait::sleep(1h));
      throw std::runtime_error(stopped ? "second" : "not stopped");
    };
    EXPECT_EQ(co_await failures_of(plait::with_task_group([&](task_group& group) -> task<> {
                group.start(fails_when_stopped);
                group.start(fail_after, 1s, "first");
                co_return;
              })),
              "first, second");
  });
}

TEST(TaskGroup, NestedGroupsGiveNestedExceptionGroups) {
  virtual_run([]() -> task<> {
    const auto inner = [](std::string what) -> task<> {
      co_await plait::with_task_group([&](task_group& group) -> task<> {
        group.start(fail_after, 1s, what);
        co_return;
      });
    };
    std::string what;
    std::size_t at_the_top = 0, in_all = 0;
    try {
      co_await plait::with_task_group([&](task_group& group) -> task<> {
        group.start(inner, "left");
        group.start(inner, "right");
        co_return;
      });
    } catch (const plait::exception_group& failures) {
      what = failures.what();
      at_the_top = failures.exceptions().size();
      in_all = failures.visit<std::runtime_error>([](const std::runtime_error&) {});
      EXPECT_TRUE(failures.contains<std::exception>());
      EXPECT_FALSE(failures.contains<std::logic_error>());
    }
    EXPECT_EQ(at_the_top, 2u);
    EXPECT_EQ(in_all, 2u);
    EXPECT_NE(what.find("2 failures"), std::string::npos) << what;
    EXPECT_NE(what.find("std::runtime_error: left"), std::string::npos) << what;
  });
}

// Whoever awaits the child's future throws its exception again: it is the same failure.
TEST(TaskGroup, AFailureThatTheBodyAwaitsCountsOnce) {
  const plait::testing::unhandled_recorder recorder;
  virtual_run([]() -> task<> {
    EXPECT_EQ(co_await failures_of(plait::with_task_group([](task_group& group) -> task<> {
                co_await group.start(fail_after, 1s, "awaited");
              })),
              "awaited");
  });
  EXPECT_EQ(recorder.count(), 0u);
}

TEST(TaskGroup, FuturesOfFailedChildrenTellWhatTheyThrew) {
  const plait::testing::unhandled_recorder recorder;
  virtual_run([]() -> task<> {
    plait::future<> failed, stopped;
    int count = 0;
    co_await failures_of(plait::with_task_group([&](task_group& group) -> task<> {
      failed = group.start(fail_after, 1s, "x");
      stopped = group.start(until_stopped, std::ref(count));
      co_return;
    }));
    EXPECT_TRUE(co_await throws<std::runtime_error>(failed));
    EXPECT_TRUE(stopped.cancelled());
  });
  EXPECT_EQ(recorder.count(), 0u);
}

TEST(TaskGroup, CancellingOneChildIsNoFailure) {
  virtual_run([]() -> task<> {
    int stopped = 0;
    const int value = co_await plait::with_task_group([&](task_group& group) -> task<int> {
      auto begun = group.start(until_stopped, std::ref(stopped));
      auto kept = group.start(after, 5s, 8);
      co_await plait::sleep(1s);
      auto not_begun = group.start(until_stopped, std::ref(stopped));
      EXPECT_TRUE(not_begun.cancel());
      EXPECT_TRUE(begun.cancel());
      EXPECT_TRUE(co_await throws<plait::cancelled_error>(begun));
      EXPECT_EQ(group.size(), 1u);
      co_return co_await kept;
    });
    EXPECT_EQ(value, 8);
    EXPECT_EQ(stopped, 1);
  });
}

TEST(TaskGroup, ACancelledErrorThatNobodyAskedForEndsItsChildAlone) {
  const plait::testing::unhandled_recorder recorder;
  virtual_run([]() -> task<> {
    plait::promise<int> promise;
    const auto awaits = [](plait::future<int> f) -> task<> { co_await f; };
    bool other_ended = false;
    co_await plait::with_task_group([&](task_group& group) -> task<> {
      group.start(awaits, promise.get_future());
      group.start([&]() -> task<> {
        co_await plait::sleep(5s);
        other_ended = true;
      });
      co_await plait::sleep(1s);
      promise.get_future().cancel();
    });
    EXPECT_TRUE(other_ended);
  });
  EXPECT_EQ(recorder.count(), 0u);
}

TEST(TaskGroup, ACancelledErrorOfTheBodyThatNobodyAskedForGoesThrough) {
  virtual_run([]() -> task<> {
    int stopped = 0;
    EXPECT_EQ(co_await failures_of(plait::with_task_group([&](task_group& group) -> task<> {
                group.start(until_stopped, std::ref(stopped));
                co_await plait::sleep(1s);
                throw plait::cancelled_error();
              })),
              "cancelled");
    EXPECT_EQ(stopped, 1);
  });
}

TEST(TaskGroup, CancelStopsBodyAndChildrenAndIsNoError) {
  virtual_run([]() -> task<> {
    int stopped = 0;
    co_await plait::with_task_group([&](task_group& group) -> task<> {
      for (int i = 0; i < 5; ++i) group.start(until_stopped, std::ref(stopped));
      co_await plait::sleep(1s);
      group.cancel();
      group.cancel();
      co_await plait::sleep(1h);
      ADD_FAILURE() << "the body was not stopped";
    });
    EXPECT_EQ(stopped, 5);
    co_await plait::sleep(1s);  // the outer task was not
    const auto scope = [&](task_group& group) -> task<int> {
      group.cancel();
      co_await plait::sleep(1h);
      co_return 1;
    };
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(plait::with_task_group(scope)));
    const auto finishes = [&](task_group& group) -> task<int> {
      group.cancel();
      co_return 2;
    };
    EXPECT_EQ(co_await plait::with_task_group(finishes), 2);
  });
}

TEST(TaskGroup, AChildMayCancelTheGroupAndIsStoppedItself) {
  virtual_run([]() -> task<> {
    int stopped = 0;
    co_await plait::with_task_group([&](task_group& group) -> task<> {
      group.start([&]() -> task<> {
        co_await plait::sleep(1s);
        group.cancel();
        co_await until_stopped(stopped);
      });
      co_await until_stopped(stopped);
    });
    EXPECT_EQ(stopped, 2);
  });
}

TEST(TaskGroup, AChildStartedInAStoppingGroupIsStoppedAtItsFirstAwait) {
  virtual_run([]() -> task<> {
    int stopped = 0;
    bool begun = false;
    co_await plait::with_task_group([&](task_group& group) -> task<> {
      group.cancel();
      group.start([&]() -> task<> {
        begun = true;
        co_await until_stopped(stopped);
      });
      co_return;
    });
    EXPECT_TRUE(begun);
    EXPECT_EQ(stopped, 1);
  });
}

TEST(TaskGroup, AStopFromOutsideStopsEverythingAndIsPassedOn) {
  virtual_run([]() -> task<> {
    for (int round = 0; round < 2; ++round) {
      const bool body_runs = round == 0;
      int stopped = 0;
      const auto scope = [&]() -> task<> {
        co_await plait::with_task_group([&](task_group& group) -> task<> {
          for (int i = 0; i < 5; ++i) group.start(until_stopped, std::ref(stopped));
          if (body_runs) co_await until_stopped(stopped);
        });
      };
      auto f = plait::spawn(scope());
      co_await plait::sleep(1s);
      EXPECT_TRUE(f.cancel());
      EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
      EXPECT_EQ(stopped, body_runs ? 6 : 5);
      EXPECT_TRUE(f.cancelled());
    }
  });
}

TEST(TaskGroup, AStopBeforeTheChildrenBeganStopsThemAtTheirFirstAwait) {
  virtual_run([]() -> task<> {
    int begun = 0, passed = 0;
    const auto child = [&]() -> task<> {
      ++begun;
      co_await plait::sleep(0s);
      ++passed;
    };
    co_await plait::with_task_group([&](task_group& group) -> task<> {
      for (int i = 0; i < 5; ++i) group.start(std::ref(child));
      group.cancel();
      co_await plait::sleep(0s);
      ++passed;
    });
    EXPECT_EQ(begun, 5);
    EXPECT_EQ(passed, 0);
  });
}

TEST(TaskGroup, KeepsItsResultWhenAllFinishDespiteTheStop) {
  virtual_run([]() -> task<> {
    const auto stubborn = []() -> task<int> {
      const bool stopped = co_await throws<plait::cancelled_error>(plait::sleep(1h));
      co_return stopped ? 4 : 0;
    };
    const auto scope = [&]() -> task<int> {
      co_return co_await plait::with_task_group([&](task_group& group) -> task<int> {
        auto child = group.start(stubborn);
        const int own = co_await stubborn();
        co_return own + co_await child;
      });
    };
    auto f = plait::spawn(scope());
    co_await plait::sleep(1s);
    f.cancel();
    EXPECT_EQ(co_await f, 8);
  });
}

TEST(TaskGroup, AFailureDuringAStopFromOutsideIsTold) {
  virtual_run([]() -> task<> {
    const auto fails_when_stopped = []() -> task<> {
      co_await throws<plait::cancelled_error>(plait::sleep(1h));
      throw std::runtime_error("while tidying up");
    };
    const auto scope = [&]() -> task<> {
      co_await plait::with_task_group([&](task_group& group) -> task<> {
        group.start(fails_when_stopped);
        co_return;
      });
    };
    auto f = plait::spawn(scope());
    co_await plait::sleep(1s);
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::exception_group>(f));
  });
}

TEST(TaskGroup, InAStoppedTaskStartsNothing) {
  virtual_run([]() -> task<> {
    bool ran = false;
    const auto late = [&]() -> task<> {
      co_await throws<plait::cancelled_error>(plait::sleep(1h));
      co_await plait::with_task_group([&](task_group&) -> task<> {
        ran = true;
        co_return;
      });
    };
    auto f = plait::spawn(late());
    co_await plait::sleep(1s);
    f.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(f));
    EXPECT_FALSE(ran);
  });
}

TEST(TaskGroup, ATimeoutAroundItIsATimeout) {
  virtual_run([]() -> task<> {
    int stopped = 0;
    const auto scope = [&]() -> task<> {
      co_await plait::with_task_group([&](task_group& group) -> task<> {
        group.start(until_stopped, std::ref(stopped));
        co_return;
      });
    };
    EXPECT_TRUE(co_await throws<plait::timeout_error>(plait::timeout(1s, scope())));
    EXPECT_EQ(stopped, 1);
  });
}

TEST(TaskGroup, AFailureIsNoReasonToStopTheOuterGroup) {
  virtual_run([]() -> task<> {
    int stopped = 0;
    bool outer_went_on = false;
    co_await plait::with_task_group([&](task_group& outer) -> task<> {
      outer.start([&]() -> task<> {
        co_await plait::sleep(10s);
        outer_went_on = true;
      });
      co_await failures_of(plait::with_task_group([&](task_group& inner) -> task<> {
        inner.start(until_stopped, std::ref(stopped));
        inner.start(fail_after, 1s, "inner");
        co_return;
      }));
    });
    EXPECT_TRUE(outer_went_on);
    EXPECT_EQ(stopped, 1);
  });
}

// The stop token's callback runs inside the stop, and starts another child.
TEST(TaskGroup, AChildMayBeStartedFromWithinTheStop) {
  virtual_run([]() -> task<> {
    int stopped = 0;
    co_await plait::with_task_group([&](task_group& group) -> task<> {
      const auto token = co_await plait::current_stop_token();
      const std::stop_callback late(token, [&] { group.start(until_stopped, std::ref(stopped)); });
      for (int i = 0; i < 3; ++i) group.start(until_stopped, std::ref(stopped));
      group.cancel();
      co_await plait::sleep(1h);
    });
    EXPECT_EQ(stopped, 4);
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

TEST(TaskGroup, AHundredThousandWaitingChildrenStop) {
  virtual_run([]() -> task<> {
    int stopped = 0;
    co_await plait::with_task_group([&](task_group& group) -> task<> {
      for (int i = 0; i < 100'000; ++i) group.start(until_stopped, std::ref(stopped));
      co_await plait::sleep(1s);
      EXPECT_EQ(group.size(), 100'000u);
      group.cancel();
    });
    EXPECT_EQ(stopped, 100'000);
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

TEST(TaskGroup, AThousandFailuresAtOnceAreAllTold) {
  virtual_run([]() -> task<> {
    const auto failures =
        co_await failures_of(plait::with_task_group([](task_group& group) -> task<> {
          for (int i = 0; i < 1000; ++i) group.start(fail_after, 1s, std::to_string(i));
          co_return;
        }));
    EXPECT_EQ(std::count(failures.begin(), failures.end(), ','), 999);
  });
}

}  // namespace

// plait/testing/conformance/results.hpp: values, exceptions and callbacks reach their futures.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <numeric>
#include <typeinfo>

#include "plait/core/future.hpp"
#include "plait/testing/conformance/calls.hpp"
#include "plait/testing/unhandled_recorder.hpp"

namespace plait::testing::conformance {

template <class Engine>
struct results {
  static void gives_the_value() {
    Engine engine(1);
    future<number> f = engine.executor().submit(add, 40, 2);
    EXPECT_EQ(f.get(), 42);
    EXPECT_TRUE(f.done());
    EXPECT_FALSE(f.running());
    EXPECT_FALSE(f.cancelled());
    EXPECT_EQ(f.exception(), nullptr);
  }
  static void gives_nothing_for_void() {
    Engine engine(1);
    future<void> f = engine.executor().submit(do_nothing);
    f.get();
    EXPECT_TRUE(f.done());
  }
  static void moves_big_values_both_ways() {
    Engine engine(1);
    std::vector<number> numbers(1'000'000);
    std::iota(numbers.begin(), numbers.end(), 0);
    const auto result = engine.executor().submit(doubled, numbers).get();
    ASSERT_EQ(result.size(), numbers.size());
    for (std::size_t i = 0; i < numbers.size(); ++i) ASSERT_EQ(result[i], 2 * numbers[i]);
    std::string text(3'000'001, 'x');
    text.front() = 'a';
    text += std::string("\0z", 2);
    const auto back = engine.executor().submit(reversed, text).get();
    EXPECT_EQ(back.size(), text.size());
    EXPECT_EQ(back.substr(0, 3), std::string("z\0x", 3));
    EXPECT_EQ(back.back(), 'a');
  }
  static void gives_empty_values() {
    Engine engine(1);
    EXPECT_EQ(engine.executor().submit(reversed, "").get(), "");
    EXPECT_TRUE(engine.executor().submit(doubled, std::vector<number>{}).get().empty());
  }
  static void copies_arguments_when_they_are_submitted() {
    Engine engine(1);
    gate g;
    const auto held = engine.executor().submit(pass, g.name(), 0);
    g.wait_for_arrival();
    std::string text = "before";
    const auto f = engine.executor().submit(reversed, text);
    text = "after!";
    g.open();
    EXPECT_EQ(f.get(), "erofeb");
  }
  static void says_what_is_running_and_what_is_done() {
    Engine engine(1);
    gate g;
    const auto held = engine.executor().submit(pass, g.name(), 5);
    g.wait_for_arrival();
    const auto queued = engine.executor().submit(square, 3);
    EXPECT_TRUE(held.running());
    EXPECT_FALSE(held.done());
    EXPECT_FALSE(queued.done());
    if constexpr (Engine::shares_memory) {  // elsewhere a call may count as begun once it was sent
      EXPECT_FALSE(queued.running());
    }
    g.open();
    EXPECT_EQ(held.get(), 5);
    EXPECT_EQ(queued.get(), 9);
    EXPECT_FALSE(held.running());
  }

  template <class Expected>
  static void expect_thrown(Engine& engine, thrown what) {
    try {
      engine.executor().submit(throws, static_cast<number>(what), "what \"it\" said").get();
      FAIL() << "no exception, where " << typeid(Expected).name() << " was thrown";
    } catch (const std::exception& e) {
      EXPECT_STREQ(typeid(e).name(), typeid(Expected).name());
      if constexpr (!std::is_same_v<Expected, std::bad_alloc>) {
        EXPECT_STREQ(e.what(), "what \"it\" said");
      }
    }
  }
  static void standard_exceptions_arrive_as_themselves() {
    Engine engine(1);
    expect_thrown<std::runtime_error>(engine, thrown::runtime_error);
    expect_thrown<std::logic_error>(engine, thrown::logic_error);
    expect_thrown<std::invalid_argument>(engine, thrown::invalid_argument);
    expect_thrown<std::out_of_range>(engine, thrown::out_of_range);
    expect_thrown<std::domain_error>(engine, thrown::domain_error);
    expect_thrown<std::length_error>(engine, thrown::length_error);
    expect_thrown<std::overflow_error>(engine, thrown::overflow_error);
    expect_thrown<std::range_error>(engine, thrown::range_error);
    expect_thrown<std::bad_alloc>(engine, thrown::bad_alloc);
  }
  static void other_exceptions_keep_type_and_message() {
    Engine engine(1);
    if constexpr (Engine::shares_memory) {
      expect_thrown<custom_error>(engine, thrown::custom_error);
    } else {
      const auto f =
          engine.executor().submit(throws, static_cast<number>(thrown::custom_error), "its own");
      try {
        f.get();
        FAIL() << "no exception";
      } catch (const remote_error& e) {
        EXPECT_EQ(e.type(), "plait::testing::conformance::custom_error");
        EXPECT_STREQ(e.what(), "its own");
      }
    }
  }
  static void what_is_no_exception_class_arrives_too() {
    Engine engine(1);
    const auto f = engine.executor().submit(throws, static_cast<number>(thrown::integer), "");
    if constexpr (Engine::shares_memory) {
      EXPECT_THROW(f.get(), int);
    } else {
      EXPECT_THROW(f.get(), remote_error);
    }
    EXPECT_EQ(engine.executor().submit(square, 2).get(), 4) << "and the engine goes on";
  }
  static void every_copy_sees_the_exception() {
    Engine engine(1);
    const auto f = engine.executor().submit(fail_at_seven, 7);
    const auto copy = f;
    EXPECT_THROW(f.get(), std::out_of_range);
    EXPECT_THROW(copy.get(), std::out_of_range);
    EXPECT_NE(copy.exception(), nullptr);
  }
  static void nobody_retrieved_it_so_the_handler_hears_where_it_came_from() {
    const unhandled_recorder unhandled;
    Engine engine(1);
    engine.executor().submit(fail_at_seven, 7);
    ASSERT_TRUE(unhandled.wait_for_count(1));
    engine.shutdown({});
    ASSERT_EQ(unhandled.count(), 1u);
    const auto heard = unhandled.entries()[0];
    EXPECT_EQ(heard.message, "seven");
    EXPECT_NE(heard.origin.find("call of"), std::string::npos) << heard.origin;
    EXPECT_NE(heard.origin.find("submitted"), std::string::npos) << heard.origin;
  }

  static void callbacks_run_before_and_after() {
    Engine engine(1);
    gate g;
    std::atomic<number> early{0}, late{0};
    promise<void> called;
    const auto f = engine.executor().submit(pass, g.name(), 3);
    g.wait_for_arrival();
    f.add_done_callback([&](const future<number>& done) {
      early = done.get();
      called.set_value();
    });
    EXPECT_EQ(early, 0);
    g.open();
    called.get_future().get();
    EXPECT_EQ(early, 3);
    f.add_done_callback([&](const future<number>& done) { late = done.get(); });
    EXPECT_EQ(late, 3) << "it was done: the callback runs here and now";
  }
  static void a_callback_that_throws_reaches_the_handler() {
    const unhandled_recorder unhandled;
    Engine engine(1);
    engine.executor().submit(square, 3).add_done_callback(
        [](const future<number>&) { throw std::runtime_error("from a callback"); });
    ASSERT_TRUE(unhandled.wait_for_count(1));
    EXPECT_EQ(unhandled.entries()[0].message, "from a callback");
    EXPECT_EQ(engine.executor().submit(square, 3).get(), 9) << "and the engine goes on";
  }
  // Each callback submits the next call, on whatever thread it runs.
  struct relay {
    Engine& engine;
    promise<number> finished;
    void next(number n) {
      if (n == 200) return static_cast<void>(finished.set_value(n));
      engine.executor().submit(add, n, 1).add_done_callback(
          [this](const future<number>& f) { next(f.get()); });
    }
  };
  static void a_callback_may_submit() {
    Engine engine(1);
    relay r{engine, {}};
    r.next(0);
    EXPECT_EQ(r.finished.get_future().get(), 200);
  }

  static constexpr std::array list{
      check{"GivesTheValue", gives_the_value},
      check{"GivesNothingForVoid", gives_nothing_for_void},
      check{"MovesBigValuesBothWays", moves_big_values_both_ways},
      check{"GivesEmptyValues", gives_empty_values},
      check{"CopiesArgumentsWhenTheyAreSubmitted", copies_arguments_when_they_are_submitted},
      check{"SaysWhatIsRunningAndWhatIsDone", says_what_is_running_and_what_is_done},
      check{"StandardExceptionsArriveAsThemselves", standard_exceptions_arrive_as_themselves},
      check{"OtherExceptionsKeepTypeAndMessage", other_exceptions_keep_type_and_message},
      check{"WhatIsNoExceptionClassArrivesToo", what_is_no_exception_class_arrives_too},
      check{"EveryCopySeesTheException", every_copy_sees_the_exception},
      check{"Invariant4UnretrievedExceptionReachesTheHandler",
            nobody_retrieved_it_so_the_handler_hears_where_it_came_from},
      check{"CallbacksRunBeforeAndAfter", callbacks_run_before_and_after},
      check{"CallbackThatThrowsReachesTheHandler", a_callback_that_throws_reaches_the_handler},
      check{"CallbackMaySubmit", a_callback_may_submit},
  };
};

}  // namespace plait::testing::conformance

// plait/testing/conformance/collections.hpp: map, as_completed and wait, over this engine and others.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <iterator>
#include <numeric>
#include <ranges>

#include "plait/core/completion.hpp"
#include "plait/core/map.hpp"
#include "plait/testing/conformance/calls.hpp"
#include "plait/threads/thread_pool_executor.hpp"

namespace plait::testing::conformance {

// 0, 1, 2, ... up to `end`, and how many of them have been read.
struct counted_numbers {
  number end_;
  number* read_;
  struct iterator {
    using value_type = number;
    using difference_type = std::ptrdiff_t;
    number at = 0, last = 0;
    number* read = nullptr;
    number operator*() const {
      ++*read;
      return at;
    }
    iterator& operator++() {
      ++at;
      return *this;
    }
    void operator++(int) { ++at; }
    bool operator==(std::default_sentinel_t) const { return at == last; }
  };
  iterator begin() const { return {0, end_, read_}; }
  std::default_sentinel_t end() const { return {}; }
};
inline constexpr number endless = -1;

template <class Engine>
struct collections {
  static std::vector<number> numbers_to(number end) {
    std::vector<number> numbers(static_cast<std::size_t>(end));
    std::iota(numbers.begin(), numbers.end(), 0);
    return numbers;
  }
  static std::vector<number> squares_to(number end) {
    auto squares = numbers_to(end);
    for (auto& n : squares) n *= n;
    return squares;
  }

  static void map_gives_results_in_order() {
    Engine engine(2);
    EXPECT_EQ(engine.executor().map(square, numbers_to(3000)).to_vector(), squares_to(3000));
  }
  static void map_of_nothing_is_empty() {
    Engine engine(1);
    EXPECT_TRUE(engine.executor().map(square, std::vector<number>{}).to_vector().empty());
    EXPECT_TRUE(
        engine.executor().map(square, std::vector<number>{}, {.chunksize = 8}).to_vector().empty());
  }
  static void map_takes_chunks() {
    Engine engine(2);
    for (const number end : {1, 9, 10, 11, 500})
      EXPECT_EQ(engine.executor()
                    .map(square, numbers_to(end), {.chunksize = 10, .buffersize = 3})
                    .to_vector(),
                squares_to(end));
  }
  static void map_takes_two_ranges() {
    Engine engine(2);
    auto sums = numbers_to(40);
    for (auto& n : sums) n *= 2;
    const auto numbers = numbers_to(40);
    for (const std::size_t chunk : {1, 6, 50})
      EXPECT_EQ(
          engine.executor().map(add, numbers, numbers_to(41), {.chunksize = chunk}).to_vector(),
          sums);
    auto& executor = engine.executor();
    EXPECT_EQ(executor.with({.name = "sum"}).map(add, numbers, numbers_to(41)).to_vector(), sums);
  }
  static void map_gives_everything_whatever_its_window() {
    Engine engine(2);
    for (const std::size_t window : {1, 2, 40, 80})
      for (const std::size_t chunk : {1, 6, 40, 50})
        EXPECT_EQ(engine.executor()
                      .map(square, numbers_to(40), {.chunksize = chunk, .buffersize = window})
                      .to_vector(),
                  squares_to(40));
  }
  static void map_at_its_timeout_cancels_what_has_not_begun() {
    for (const auto order :
         {map_options::result_order::input, map_options::result_order::completion}) {
      Engine engine(1);
      gate g;
      const tally ran;
      const auto held = engine.executor().submit(pass, g.name(), 0);
      g.wait_for_arrival();
      auto results = engine.executor().map(note_to{ran.name()}, numbers_to(3),
                                           {.order = order, .timeout = duration(0)});
      EXPECT_THROW(results.begin(), timeout_error);
      EXPECT_TRUE(results.begin() == results.end()) << "it has ended";
      g.open();
      engine.shutdown({});
      EXPECT_EQ(held.get(), 0);
      EXPECT_EQ(ran.total(), 0u);
    }
  }
  static void map_reads_no_more_than_its_window() {
    Engine engine(2);
    for (const std::size_t chunk : {1, 4}) {
      number read = 0, taken = 0;
      const auto window = static_cast<number>(5 * chunk + chunk - 1);  // and one chunk in hand
      auto results = engine.executor().map(square, counted_numbers{endless, &read},
                                           {.chunksize = chunk, .buffersize = 5});
      EXPECT_EQ(read, 0);
      for (const number n : results) {
        ASSERT_EQ(n, square(taken));
        ASSERT_LE(read, taken + window);
        if (++taken == 100) break;
      }
    }
  }
  static void map_has_a_window_of_its_own() {
    Engine engine(2);
    number read = 0;
    auto results = engine.executor().map(square, counted_numbers{endless, &read});
    EXPECT_EQ(*results.begin(), 0);
    EXPECT_GE(read, 2) << "else nothing runs while results are taken";
    EXPECT_LE(read, 10'000);
  }
  static void map_ends_at_the_first_exception() {
    for (const std::size_t chunk : {1, 2}) {
      Engine engine(2);
      number read = 0;
      std::vector<number> seen;
      auto results = engine.executor().map(fail_at_seven, counted_numbers{endless, &read},
                                           {.chunksize = chunk, .buffersize = 4});
      EXPECT_THROW(std::ranges::copy(results, std::back_inserter(seen)), std::out_of_range);
      EXPECT_EQ(seen, numbers_to(chunk == 1 ? 7 : 6));
      EXPECT_LE(read, 16);
      EXPECT_TRUE(results.begin() == results.end());
      EXPECT_EQ(engine.executor().submit(square, 2).get(), 4);
    }
  }

  static void as_completed_gives_the_first_to_finish_first() {
    Engine engine(1);
    promise<number> later;
    const std::vector<future<number>> both{later.get_future(), engine.executor().submit(square, 3)};
    auto finished = as_completed(both);
    auto it = finished.begin();
    EXPECT_EQ(*it, both[1]);
    later.set_value(1);
    ++it;
    EXPECT_EQ(*it, both[0]);
    ++it;
    EXPECT_TRUE(it == finished.end());
  }
  static void as_completed_gives_everything_once() {
    Engine engine(2);
    std::vector<future<number>> calls;
    for (const number n : numbers_to(500)) calls.push_back(engine.executor().submit(square, n));
    number sum = 0, seen = 0;
    for (const auto& f : as_completed(calls)) sum += f.get(), ++seen;
    EXPECT_EQ(seen, 500);
    const auto all = squares_to(500);
    EXPECT_EQ(sum, std::accumulate(all.begin(), all.end(), number{0}));
  }
  static void as_completed_mixes_engines() {
    Engine engine(1);
    thread_pool_executor threads(1);
    gate g, h;
    promise<number> by_hand;
    const std::vector<future<number>> mixed{engine.executor().submit(pass, g.name(), 0),
                                            threads.submit(pass, h.name(), 1),
                                            by_hand.get_future()};
    auto finished = as_completed(mixed);
    g.wait_for_arrival();
    h.wait_for_arrival();
    by_hand.set_value(2);
    auto it = finished.begin();
    EXPECT_EQ(it->get(), 2);
    g.open();
    EXPECT_EQ((++it)->get(), 0);
    h.open();
    EXPECT_EQ((++it)->get(), 1);
  }

  static void wait_returns_at_the_first() {
    Engine engine(1);
    promise<number> never;
    const std::vector<future<number>> both{never.get_future(), engine.executor().submit(square, 3)};
    const auto result = wait(both, {.return_when = return_when::first_completed});
    EXPECT_EQ(result.done, std::vector{both[1]});
    EXPECT_EQ(result.not_done, std::vector{both[0]});
  }
  static void wait_returns_at_the_first_exception() {
    Engine engine(1);
    promise<number> never;
    const std::vector<future<number>> all{engine.executor().submit(square, 3), never.get_future(),
                                          engine.executor().submit(fail_at_seven, 7)};
    const auto result = wait(all, {.return_when = return_when::first_exception});
    EXPECT_EQ(result.not_done, std::vector{all[1]});
    EXPECT_THROW(all[2].get(), std::out_of_range);
  }
  static void wait_counts_failures_and_cancellations_as_done() {
    Engine engine(1);
    gate g;
    const auto held = engine.executor().submit(pass, g.name(), 0);
    g.wait_for_arrival();
    const std::vector<future<number>> all{held, engine.executor().submit(square, 3),
                                          engine.executor().submit(fail_at_seven, 7)};
    EXPECT_TRUE(all[1].cancel());
    g.open();
    EXPECT_EQ(wait(all).done, all);
    EXPECT_TRUE(all[1].cancelled());
    EXPECT_NE(all[2].exception(), nullptr);
  }
  static void wait_returns_when_all_are_done() {
    Engine engine(2);
    std::vector<future<number>> calls;
    for (const number n : numbers_to(100)) calls.push_back(engine.executor().submit(square, n));
    const auto result = wait(calls);
    EXPECT_EQ(result.done, calls);
    EXPECT_TRUE(result.not_done.empty());
  }
  static void wait_returns_at_its_timeout() {
    Engine engine(1);
    gate g;
    const std::vector<future<number>> calls{engine.executor().submit(pass, g.name(), 1)};
    const auto result = wait(calls, {.timeout = std::chrono::milliseconds(1)});
    EXPECT_EQ(result.not_done, calls);
    EXPECT_FALSE(calls[0].wait_for(std::chrono::milliseconds(1)));
    g.open();
    EXPECT_EQ(calls[0].get(), 1) << "it went on";
  }

  static constexpr std::array list{
      check{"MapGivesResultsInOrder", map_gives_results_in_order},
      check{"MapOfNothingIsEmpty", map_of_nothing_is_empty},
      check{"MapTakesChunks", map_takes_chunks},
      check{"MapTakesTwoRanges", map_takes_two_ranges},
      check{"MapGivesEverythingWhateverItsWindow", map_gives_everything_whatever_its_window},
      check{"MapAtItsTimeoutCancelsWhatHasNotBegun", map_at_its_timeout_cancels_what_has_not_begun},
      check{"Invariant9MapReadsNoMoreThanItsWindow", map_reads_no_more_than_its_window},
      check{"Invariant9MapHasAWindowOfItsOwn", map_has_a_window_of_its_own},
      check{"MapEndsAtTheFirstException", map_ends_at_the_first_exception},
      check{"AsCompletedGivesTheFirstToFinishFirst", as_completed_gives_the_first_to_finish_first},
      check{"AsCompletedGivesEverythingOnce", as_completed_gives_everything_once},
      check{"AsCompletedMixesEngines", as_completed_mixes_engines},
      check{"WaitReturnsAtTheFirst", wait_returns_at_the_first},
      check{"WaitReturnsAtTheFirstException", wait_returns_at_the_first_exception},
      check{"WaitCountsFailuresAndCancellationsAsDone",
            wait_counts_failures_and_cancellations_as_done},
      check{"WaitReturnsWhenAllAreDone", wait_returns_when_all_are_done},
      check{"WaitReturnsAtItsTimeout", wait_returns_at_its_timeout},
  };
};

}  // namespace plait::testing::conformance

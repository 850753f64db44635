// map(): ordered, lazy, with a window; on an engine whose every step the test decides.
#include "plait/core/map.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <forward_list>
#include <memory>
#include <ranges>
#include <stdexcept>
#include <string>
#include <vector>

#include "manual_executor.hpp"

using namespace std::chrono_literals;

namespace {

static_assert(std::ranges::input_range<plait::map_range<int>>);

int square(int n) { return n * n; }
int fail_at_three(int n) { return n == 3 ? throw std::out_of_range("three") : n; }

// 0, 1, 2, ... without end, and how many of them have been read.
struct counted_numbers {
  int* read;
  struct iterator {
    using value_type = int;
    using difference_type = std::ptrdiff_t;
    int at = 0;
    int* read = nullptr;
    int operator*() const {
      ++*read;
      return at;
    }
    iterator& operator++() {
      ++at;
      return *this;
    }
    void operator++(int) { ++at; }
    bool operator==(std::default_sentinel_t) const { return false; }
  };
  iterator begin() const { return {0, read}; }
  std::default_sentinel_t end() const { return {}; }
};

class Map : public ::testing::Test {
 protected:
  Map() { engine.set_worker(manual_executor::worker::this_thread); }  // get() runs the call
  manual_executor engine;
};

TEST_F(Map, GivesResultsInTheOrderOfTheItems) {
  const std::vector<int> items{3, 1, 2};
  EXPECT_EQ(engine.map(square, items).to_vector(), (std::vector<int>{9, 1, 4}));
}

TEST_F(Map, OfAnEmptyRangeIsEmpty) {
  EXPECT_TRUE(engine.map(square, std::vector<int>{}).to_vector().empty());
  for (const std::size_t chunk : {1, 4}) {
    auto results = engine.map(square, std::vector<int>{}, {.chunksize = chunk});
    EXPECT_TRUE(results.begin() == results.end());
  }
}

TEST_F(Map, KeepsATemporaryRangeAndRefersToALastingOne) {
  auto kept = engine.map(square, std::vector<int>{1, 2, 3});
  EXPECT_EQ(kept.to_vector(), (std::vector<int>{1, 4, 9}));
  const std::forward_list<int> lasting{4, 5};
  EXPECT_EQ(engine.map(square, lasting).to_vector(), (std::vector<int>{16, 25}));
}

TEST_F(Map, TakesTwoRangesAndEndsWithTheShorter) {
  const auto minus = [](int a, int b) { return a - b; };
  const std::vector<int> some{5, 6, 7, 8};
  const std::forward_list<int> fewer{1, 2, 3};
  const std::vector<int> differences{4, 4, 4};
  for (const std::size_t window : {1, 2, 4, 8}) {
    EXPECT_EQ(engine.map(minus, some, fewer, {.buffersize = window}).to_vector(), differences);
    EXPECT_EQ(engine.map(minus, std::vector<int>{5, 6, 7}, some, {.chunksize = window}).to_vector(),
              (std::vector<int>{0, 0, 0}));
  }
  EXPECT_EQ(engine.with({.name = "difference"}).map(minus, some, fewer).to_vector(), differences);
  EXPECT_TRUE(engine.map(minus, some, std::vector<int>{}).to_vector().empty());
}

TEST_F(Map, TakesTwoRangesWithoutEnd) {
  int read = 0, read_too = 0;
  auto results = engine.map([](int a, int b) { return a + b; }, counted_numbers{&read},
                            counted_numbers{&read_too}, {.buffersize = 2});
  auto it = results.begin();
  for (int n = 0; n < 10; ++n, ++it) EXPECT_EQ(*it, 2 * n);
  EXPECT_LE(read, 12);
  EXPECT_EQ(read, read_too);
}

TEST_F(Map, OfTwoRangesGivesAStopTokenAndMovesMoveOnlyItems) {
  const auto both = [](std::stop_token stop, int a, std::string b) {
    return stop.stop_possible() ? b + std::to_string(a) : "";
  };
  EXPECT_EQ(
      engine.map(both, std::vector<int>{1, 2}, std::vector<std::string>{"a", "b"}).to_vector(),
      (std::vector<std::string>{"a1", "b2"}));
  std::vector<std::unique_ptr<int>> pointers;
  pointers.push_back(std::make_unique<int>(3));
  const auto take = [](std::unique_ptr<int> p, int n) { return *p * n; };
  EXPECT_EQ(engine
                .map(take,
                     std::ranges::subrange(std::move_iterator(pointers.begin()),
                                           std::move_iterator(pointers.end())),
                     std::vector<int>{2})
                .to_vector(),
            std::vector<int>{6});
}

// Invariant 9: back-pressure by default: map is lazy with a window.
TEST_F(Map, Invariant9ReadsNoMoreThanTheWindow) {
  for (const std::size_t window : {1, 2, 7}) {
    int read = 0;
    auto results = engine.map(square, counted_numbers{&read}, {.buffersize = window});
    EXPECT_EQ(read, 0) << "nothing is read before the first result is asked for";
    auto it = results.begin();
    for (int taken = 1; taken <= 20; ++taken, ++it) {
      EXPECT_EQ(*it, square(taken - 1));
      EXPECT_LE(read, taken - 1 + static_cast<int>(window));
    }
  }
}

TEST_F(Map, Invariant9AsksTheEngineForItsWindow) {
  int read = 0;
  auto results = engine.map(square, counted_numbers{&read});
  EXPECT_EQ(*results.begin(), 0);
  EXPECT_EQ(read, 3);
}

TEST_F(Map, ChunksTravelTogetherAndComeApartInOrder) {
  for (int count = 0; count < 12; ++count) {
    std::vector<int> items, expected;
    for (int i = 0; i < count; ++i) items.push_back(i), expected.push_back(i * i);
    EXPECT_EQ(engine.map(square, items, {.chunksize = 4}).to_vector(), expected);
  }
}

TEST_F(Map, AChunkIsOneCall) {
  int read = 0;
  auto results = engine.map(square, counted_numbers{&read}, {.chunksize = 5, .buffersize = 2});
  EXPECT_EQ(*results.begin(), 0);
  EXPECT_EQ(engine.queued(), 2u) << "the window counts calls";
  EXPECT_EQ(read, 10);
}

TEST_F(Map, ChunksOfBoolsAndOfMoveOnlyResults) {
  const std::vector<int> items{1, 2, 3, 4, 5};
  EXPECT_EQ(engine.map([](int n) { return n % 2 == 0; }, items, {.chunksize = 2}).to_vector(),
            (std::vector<bool>{false, true, false, true, false}));
  int sum = 0;
  for (auto& p :
       engine.map([](int n) { return std::make_unique<int>(n); }, items, {.chunksize = 3}))
    sum += *p;
  EXPECT_EQ(sum, 15);
}

TEST_F(Map, FirstExceptionEndsItAndCancelsWhatIsUnderWay) {
  for (const std::size_t chunk : {std::size_t{1}, std::size_t{2}}) {
    int read = 0;
    auto results =
        engine.map(fail_at_three, counted_numbers{&read}, {.chunksize = chunk, .buffersize = 4});
    std::vector<int> seen;
    EXPECT_THROW(
        {
          for (const int n : results) seen.push_back(n);
        },
        std::out_of_range);
    EXPECT_EQ(seen, chunk == 1 ? (std::vector<int>{0, 1, 2}) : (std::vector<int>{0, 1}));
    EXPECT_LE(read, 8 + 2);
    EXPECT_TRUE(results.begin() == results.end()) << "it has ended";
  }
}

TEST_F(Map, ATimeoutErrorOfACallIsNotTheMapsOwn) {
  const auto late = [](int n) { return n == 1 ? throw plait::timeout_error("the call's") : n; };
  for (const plait::duration timeout : {plait::duration::max(), plait::duration(1h)}) {
    auto results = engine.map(late, std::vector<int>{0, 1, 2}, {.timeout = timeout});
    auto it = results.begin();
    EXPECT_EQ(*it, 0);
    try {
      ++it;
      FAIL() << "the call's exception was lost";
    } catch (const plait::timeout_error& e) {
      EXPECT_STREQ(e.what(), "the call's");
    }
  }
}

TEST_F(Map, KeepsNoResultThatWasTaken) {
  const auto make = [](int n) { return std::make_shared<int>(n); };
  for (const std::size_t chunk : {1, 2}) {
    std::vector<std::weak_ptr<int>> taken;
    for (auto& result : engine.map(make, std::vector<int>(6, 1), {.chunksize = chunk})) {
      for (const auto& earlier : taken) EXPECT_TRUE(earlier.expired());
      taken.push_back(result);
      result.reset();
      EXPECT_TRUE(taken.back().expired());
    }
    EXPECT_EQ(taken.size(), 6u);
  }
}

TEST_F(Map, DestroyingItCancelsWhatHasNotBegun) {
  int runs = 0;
  {
    auto results =
        engine.map([&](int n) { return ++runs, n; }, std::vector<int>(10, 1), {.buffersize = 5});
    EXPECT_EQ(*results.begin(), 1);
    EXPECT_EQ(runs, 1);
  }
  engine.run_all();
  EXPECT_EQ(runs, 1);
}

TEST_F(Map, CanBeMovedWhileUnderWay) {
  auto results = engine.map(square, std::vector<int>{1, 2, 3}, {.buffersize = 2});
  auto it = results.begin();
  EXPECT_EQ(*it, 1);
  auto moved = std::move(results);
  EXPECT_EQ(moved.to_vector(), (std::vector<int>{4, 9}));
  EXPECT_TRUE(results.begin() == results.end());
}

TEST_F(Map, AfterShutdownThrowsAndEnds) {
  auto results = engine.map(square, std::vector<int>{1, 2, 3}, {.buffersize = 1});
  EXPECT_EQ(*results.begin(), 1);
  engine.shutdown();
  EXPECT_THROW(results.to_vector(), plait::executor_shutdown);
  EXPECT_TRUE(results.to_vector().empty());
}

TEST_F(Map, FunctionThatTakesAStopTokenIsGivenOne) {
  const std::vector<int> items{1, 2};
  const auto results =
      engine.map([](std::stop_token stop, int n) { return stop.stop_possible() ? n : -1; }, items);
  auto all =
      engine.map([](std::stop_token stop, int n) { return stop.stop_possible() ? n : -1; }, items)
          .to_vector();
  EXPECT_EQ(all, items);
}

}  // namespace

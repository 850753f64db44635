#include <plait/processes.hpp>
#include <plait/testing/gate.hpp>

#include <gtest/gtest.h>

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <span>
#include <string>
#include <system_error>
#include <vector>

namespace {

using plait::process_pool_executor;
using plait::shared_array;

static_assert(plait::travels<shared_array<double>>);
static_assert(plait::travels<std::vector<shared_array<int>>>);

std::size_t entries(const char* folder) {
  std::size_t n = 0;
  for ([[maybe_unused]] const auto& e : std::filesystem::directory_iterator(folder)) ++n;
  return n;
}
std::size_t open_arrays() {
  std::size_t n = 0;
  for (const auto& e : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    n += std::filesystem::read_symlink(e.path(), gone).string().find("plait-array") !=
         std::string::npos;
  }
  return n;
}
// How many mappings of shared arrays this process has.
std::size_t mapped_arrays() {
  std::ifstream file("/proc/self/maps");
  std::size_t n = 0;
  for (std::string line; std::getline(file, line);) n += line.find("plait-array") != line.npos;
  return n;
}

double sum(const shared_array<double>& a) { return std::accumulate(a.begin(), a.end(), 0.0); }
void fill(shared_array<double> a, double value) { std::fill(a.begin(), a.end(), value); }
shared_array<double> numbers(std::size_t n) {
  shared_array<double> a(n);
  std::iota(a.begin(), a.end(), 1.0);
  return a;
}

TEST(SharedArray, StartsAsZerosAndIsReadAsASpan) {
  shared_array<int> a(1000);
  ASSERT_EQ(a.size(), 1000u);
  EXPECT_EQ(std::count(a.begin(), a.end(), 0), 1000);
  const std::span<int> span = a;
  span[3] = 4;
  EXPECT_EQ(a[3], 4);
  const std::vector<int> from{1, 2, 3};
  EXPECT_EQ(shared_array<int>(from)[2], 3);
  const auto copy = a;
  copy[0] = 9;
  EXPECT_EQ(a[0], 9) << "handles share";
}

TEST(SharedArray, AnEmptyOneTravels) {
  process_pool_executor pool{1};
  EXPECT_EQ(pool.submit(sum, shared_array<double>()).get(), 0.0);
  EXPECT_TRUE(pool.submit(numbers, std::size_t{0}).get().empty());
}

TEST(SharedArray, WorkersSeeAndChangeTheSamePages) {
  process_pool_executor pool{2};
  shared_array<double> a(100'000);
  std::fill(a.begin(), a.end(), 0.5);
  EXPECT_EQ(pool.submit(sum, a).get(), 50'000.0);
  auto low = pool.submit(fill, a.slice(0, 50'000), 1.0);
  auto high = pool.submit(fill, a.slice(50'000, 50'000), 3.0);
  low.get();
  high.get();
  EXPECT_EQ(sum(a), 200'000.0);
  EXPECT_EQ(pool.submit(sum, a.slice(49'999, 2)).get(), 4.0);
}

TEST(SharedArray, ComesBackFromAWorkerAndMayGoOn) {
  process_pool_executor pool{2};
  const shared_array<double> a = pool.submit(numbers, std::size_t{1000}).get();
  EXPECT_EQ(sum(a), 500'500.0);
  EXPECT_EQ(pool.submit(sum, a).get(), 500'500.0);
  const auto same = pool.submit([](shared_array<double> b) { return b; }, a).get();
  same[0] = 2;
  EXPECT_EQ(a[0], 2.0) << "the way there and back does not copy";
}

TEST(SharedArray, LivesLongerThanThePoolAndTheWorkerThatMadeIt) {
  shared_array<double> a;
  {
    process_pool_executor pool{1};
    a = pool.submit(numbers, std::size_t{10}).get();
  }
  EXPECT_EQ(sum(a), 55.0);
}

struct image {
  int width;
  shared_array<std::uint8_t> red, green;
  std::vector<shared_array<int>> layers;
};

TEST(SharedArray, TravelsInStructsAndVectorsManyAtOnce) {
  process_pool_executor pool{1};
  image i{3, shared_array<std::uint8_t>(3), shared_array<std::uint8_t>(5), {}};
  for (int n = 0; n < 50; ++n) i.layers.emplace_back(10), i.layers.back()[0] = n;
  i.layers.push_back(i.layers[7]);  // the same memory twice
  const image back = pool.submit(
                             [](image in) {
                               in.red[0] = 7;
                               in.layers[50][1] = 99;
                               return in;
                             },
                             i)
                         .get();
  EXPECT_EQ(i.red[0], 7);
  EXPECT_EQ(back.green.size(), 5u);
  ASSERT_EQ(back.layers.size(), 51u);
  EXPECT_EQ(back.layers[7][1], 99);
  for (int n = 0; n < 50; ++n) EXPECT_EQ(back.layers[static_cast<std::size_t>(n)][0], n);
}

// The arrays' descriptors beside bytes in the slot, in the arena and in a memfd of their own.
TEST(SharedArray, TravelsBesideMessagesOfEverySize) {
  process_pool_executor pool{1};
  for (const std::size_t n : {0, 100, 1000, 30'000, 100'000, 1'000'000}) {
    shared_array<int> a(1);
    const auto [text, b] = pool.submit(
                                   [](std::string s, shared_array<int> c) {
                                     c[0] = static_cast<int>(s.size());
                                     return std::pair(s, c);
                                   },
                                   std::string(n, 'x'), a)
                               .get();
    EXPECT_EQ(text.size(), n);
    EXPECT_EQ(a[0], static_cast<int>(n));
    EXPECT_EQ(b[0], static_cast<int>(n));
  }
}

TEST(SharedArray, TooManyInOneMessageIsAnErrorThatSaysSo) {
  process_pool_executor pool{1};
  std::vector<shared_array<int>> many;
  for (int i = 0; i < 65; ++i) many.emplace_back(1);
  try {
    pool.submit([](const std::vector<shared_array<int>>& v) { return v.size(); }, many);
    ADD_FAILURE();
  } catch (const plait::serialization_error& e) {
    EXPECT_NE(std::string(e.what()).find("64 shared arrays"), std::string::npos) << e.what();
  }
  auto results = pool.submit(
      [](std::size_t n) {
        std::vector<shared_array<int>> v;
        for (std::size_t i = 0; i < n; ++i) v.emplace_back(1);
        return v;
      },
      std::size_t{65});
  EXPECT_THROW(results.get(), plait::serialization_error);
  many.pop_back();
  EXPECT_EQ(
      pool.submit([](const std::vector<shared_array<int>>& v) { return v.size(); }, many).get(),
      64u);
}

TEST(SharedArray, ManyCallsInFlightKeepTheirOwn) {
  process_pool_executor pool{2};
  std::vector<shared_array<int>> arrays;
  std::vector<plait::future<int>> calls;
  for (int i = 0; i < 300; ++i) {
    arrays.emplace_back(4);
    arrays.back()[1] = i;
    calls.push_back(
        pool.submit([](shared_array<int> a) { return a[2] = 2 * a[1]; }, arrays.back()));
  }
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(calls[static_cast<std::size_t>(i)].get(), 2 * i);
    EXPECT_EQ(arrays[static_cast<std::size_t>(i)][2], 2 * i);
  }
}

TEST(SharedArray, ACallThatIsTakenBackLeavesNothingInTheWorkersSocket) {
  process_pool_executor pool{1};
  for (int round = 0; round < 20; ++round) {
    shared_array<int> one(2), other(2);
    other[0] = round;
    plait::testing::gate gate;
    auto first = pool.submit(
        [](shared_array<int>, std::string g) { plait::testing::gate::pass(g); }, one, gate.name());
    gate.wait_for_arrival();
    auto second = pool.submit([](shared_array<int> a) { return a[0]; }, one);
    auto third = pool.submit([](shared_array<int> a) { return a[0]; }, other);
    EXPECT_TRUE(second.cancel());
    gate.open();
    first.get();
    EXPECT_EQ(third.get(), round);
  }
}

TEST(SharedArray, ACallThatIsPlacedAgainHasItsArraysAgain) {
  process_pool_executor pool{1};
  shared_array<int> a(1);
  a[0] = 5;
  for (int round = 0; round < 10; ++round) {
    auto dies = pool.submit([](shared_array<int>) -> int { std::_Exit(1); }, a);
    std::vector<plait::future<int>> queued;
    for (int i = 0; i < 8; ++i)
      queued.push_back(pool.submit([](shared_array<int> b) { return b[0]; }, a));
    EXPECT_THROW(dies.get(), plait::worker_crashed);
    for (auto& f : queued) EXPECT_EQ(f.get(), 5);
  }
}

TEST(SharedArray, GoesThroughNestedPools) {
  process_pool_executor pool{1};
  shared_array<double> a(10);
  pool.submit(
          [](shared_array<double> b) {
            process_pool_executor inner{1};
            inner.submit(fill, b, 2.0).get();
          },
          a)
      .get();
  EXPECT_EQ(sum(a), 20.0);
}

TEST(SharedArray, NothingIsLeftWhenTheLastHandleHasGone) {
  process_pool_executor pool{1};
  const std::size_t names = entries("/dev/shm");
  {
    std::vector<plait::future<double>> kept;
    for (int i = 0; i < 50; ++i) {
      kept.push_back(pool.submit(sum, shared_array<double>(1000)));
      kept.back().wait();
    }
    EXPECT_EQ(open_arrays(), 0u) << "a finished call holds nothing";
    const auto back = pool.submit(numbers, std::size_t{1000}).get();
    EXPECT_EQ(open_arrays(), 1u);
    EXPECT_EQ(mapped_arrays(), 1u);
  }
  EXPECT_EQ(open_arrays(), 0u);
  EXPECT_EQ(mapped_arrays(), 0u);
  EXPECT_EQ(entries("/dev/shm"), names);
  EXPECT_EQ(pool.submit(open_arrays).get(), 0u);
  EXPECT_EQ(pool.submit(mapped_arrays).get(), 0u);
}

TEST(SharedArray, NobodyCanTakePagesAway) {
  process_pool_executor pool{1};
  shared_array<int> a(1000);
  const int shrunk =
      pool.submit(
              [](shared_array<int>) {
                int done = 0;
                for (const auto& e : std::filesystem::directory_iterator("/proc/self/fd")) {
                  std::error_code gone;
                  const auto target = std::filesystem::read_symlink(e.path(), gone);
                  if (target.string().find("plait-array") == std::string::npos) continue;
                  done += ftruncate(std::stoi(e.path().filename()), 0) == 0;
                }
                return done;
              },
              a)
          .get();
  EXPECT_EQ(shrunk, 0);
  a[999] = 1;
}

TEST(SharedArray, WhatTheSystemRefusesIsAnError) {
  EXPECT_THROW(shared_array<double>(std::size_t{1} << 61), std::exception);
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const rlimit few{entries("/proc/self/fd"), before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &few);
  EXPECT_THROW(
      {
        std::vector<shared_array<int>> many;
        for (int i = 0; i < 100; ++i) many.emplace_back(1);
      },
      std::system_error);
  setrlimit(RLIMIT_NOFILE, &before);
}

}  // namespace

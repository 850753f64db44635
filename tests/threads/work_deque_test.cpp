// The Chase-Lev deque of one worker: alone, and with thieves.
#include "threads/work_deque.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "plait/testing/seed.hpp"

namespace {

using plait::detail::job;
using plait::detail::work_deque;

struct numbered_job final : job {
  void run() noexcept override { runs.fetch_add(1, std::memory_order_relaxed); }
  void drop() noexcept override {}
  int number = 0;
  std::uint64_t written_before_push = 0;  // plain: whoever takes the job must see it
  std::atomic<int> runs{0};
};

std::vector<std::unique_ptr<numbered_job>> make_jobs(int n) {
  std::vector<std::unique_ptr<numbered_job>> jobs;
  for (int i = 0; i < n; ++i) {
    jobs.push_back(std::make_unique<numbered_job>());
    jobs.back()->number = i;
  }
  return jobs;
}
int number_of(job* j) { return j == nullptr ? -1 : static_cast<numbered_job*>(j)->number; }

TEST(WorkDeque, OwnerTakesTheNewestAndThievesTheOldest) {
  work_deque deque;
  const auto jobs = make_jobs(4);
  for (const auto& j : jobs) EXPECT_TRUE(deque.push(*j));
  EXPECT_EQ(deque.size(), 4);
  EXPECT_EQ(number_of(deque.pop()), 3);
  EXPECT_EQ(number_of(deque.steal()), 0);
  EXPECT_EQ(number_of(deque.pop()), 2);
  EXPECT_EQ(number_of(deque.pop()), 1);
  EXPECT_TRUE(deque.empty());
  EXPECT_EQ(deque.pop(), nullptr);
  EXPECT_EQ(deque.steal(), nullptr);
  EXPECT_TRUE(deque.push(*jobs[0])) << "it can be used again";
  EXPECT_EQ(number_of(deque.steal()), 0);
}

TEST(WorkDeque, PopIfTakesOnlyTheNewest) {
  work_deque deque;
  const auto jobs = make_jobs(2);
  EXPECT_FALSE(deque.pop_if(*jobs[0]));
  for (const auto& j : jobs) deque.push(*j);
  EXPECT_FALSE(deque.pop_if(*jobs[0]));
  EXPECT_TRUE(deque.pop_if(*jobs[1]));
  EXPECT_TRUE(deque.pop_if(*jobs[0]));
  EXPECT_TRUE(deque.empty());
}

TEST(WorkDeque, RefusesWhenFullAndWrapsAround) {
  work_deque deque;
  const auto jobs = make_jobs(static_cast<int>(work_deque::capacity) + 1);
  for (int lap = 0; lap < 3; ++lap) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(work_deque::capacity); ++i)
      ASSERT_TRUE(deque.push(*jobs[i]));
    EXPECT_FALSE(deque.push(*jobs.back()));
    EXPECT_EQ(number_of(deque.steal()), 0);
    EXPECT_TRUE(deque.push(*jobs.back()));
    EXPECT_EQ(number_of(deque.pop()), static_cast<int>(work_deque::capacity));
    for (int i = 1; i < work_deque::capacity; ++i) ASSERT_EQ(number_of(deque.steal()), i);
    EXPECT_TRUE(deque.empty());
  }
}

// Every job is taken exactly once, by the owner or by one thief, and each sees what was written
// before the push.
TEST(WorkDequeStress, NothingIsLostAndNothingIsTakenTwice) {
  constexpr int thieves = 3, total = 150'000;
  plait::testing::random_source random;
  work_deque deque;
  auto jobs = make_jobs(total);
  std::atomic<bool> over{false};
  std::atomic<std::uint64_t> wrong{0};
  const auto take = [&](job* j) {
    const auto* mine = static_cast<numbered_job*>(j);
    if (mine->written_before_push != static_cast<std::uint64_t>(mine->number) * 3)
      wrong.fetch_add(1);
    j->run();
  };
  std::vector<std::thread> team;
  for (int t = 0; t < thieves; ++t)
    team.emplace_back([&, mine = random.split()]() mutable {
      while (!over.load(std::memory_order_acquire)) {
        if (job* j = deque.steal()) take(j);
        if (mine.one_in(64)) std::this_thread::yield();
      }
    });
  for (int next = 0; next < total;) {
    for (auto burst = random.below(6); burst-- > 0 && next < total;) {
      auto& j = *jobs[static_cast<std::size_t>(next)];
      j.written_before_push = static_cast<std::uint64_t>(next) * 3;
      if (!deque.push(j)) break;
      ++next;
      if (random.one_in(8) && deque.pop_if(j)) take(&j);
    }
    for (auto burst = random.below(6); burst-- > 0;)
      if (job* j = deque.pop()) take(j);
  }
  while (job* j = deque.pop()) take(j);
  while (!deque.empty()) std::this_thread::yield();
  over.store(true, std::memory_order_release);
  for (auto& t : team) t.join();
  EXPECT_EQ(wrong.load(), 0u);
  int not_once = 0;
  for (const auto& j : jobs) not_once += j->runs.load() != 1;
  EXPECT_EQ(not_once, 0);
}

}  // namespace

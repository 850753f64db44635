// Where idle workers sleep (src/threads/parking.hpp): a wake-up is never lost, and a worker that
// has nothing to do really sleeps.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "plait/testing/seed.hpp"
#include "threads/parking.hpp"
#include "threads/work_deque.hpp"

namespace {

using plait::detail::job;
using plait::detail::parking;
using plait::detail::work_deque;
using plait::testing::random_source;

struct counting_job final : job {
  void run() noexcept override { runs.fetch_add(1, std::memory_order_release); }
  void drop() noexcept override {}
  std::atomic<int> runs{0};
};

// Workers that only steal from one deque, and park by the rules P1..P3; the test's thread owns the
// deque and never runs a job itself, so that a lost wake-up is a job that nobody runs.
class thieves {
 public:
  thieves(int count, random_source& random) {
    for (int i = 0; i < count; ++i) {
      parked.begin_search();
      team_.emplace_back([this, mine = random.split()]() mutable { work(mine); });
    }
  }
  ~thieves() {
    closed_.store(true, std::memory_order_seq_cst);
    parked.wake_all();
    for (auto& t : team_) t.join();
  }
  work_deque deque;
  parking parked;

 private:
  void work(random_source& random) {
    for (;;) {
      job* found = nullptr;
      for (auto looks = 1 + random.below(3); looks-- > 0 && found == nullptr;)
        found = deque.steal();
      if (found == nullptr) {
        for (auto delay = random.below(64); delay-- > 0;) asm volatile("" ::: "memory");
        parked.prepare();
        if (!deque.empty())
          parked.abandon();
        else if (closed_.load(std::memory_order_seq_cst))
          return;
        else
          parked.sleep();
        continue;
      }
      if (parked.end_search() && parked.searching() == 0) parked.wake_one();
      found->run();
      parked.begin_search();
    }
  }
  std::atomic<bool> closed_{false};
  std::vector<std::thread> team_;
};

void push_and_wait(int workers, int rounds) {
  random_source random;
  thieves team(workers, random);
  counting_job j;
  for (int i = 1; i <= rounds; ++i) {
    for (auto delay = random.below(200); delay-- > 0;) asm volatile("" ::: "memory");
    ASSERT_TRUE(team.deque.push(j));
    if (team.parked.searching() == 0) team.parked.wake_one();
    const auto lost_by = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (j.runs.load(std::memory_order_acquire) != i) {
      ASSERT_LT(std::chrono::steady_clock::now(), lost_by)
          << "round " << i << ": a job lies in the deque and every worker sleeps";
      if (random.one_in(16)) std::this_thread::yield();
    }
  }
}

// push() made the job visible with a release store only. The processor may hold such a store back
// behind the look for parked workers; on two cores one wake-up in some 8,000 was lost.
TEST(ParkingStress, PushThenNotifyNeverLosesAWakeUp) { push_and_wait(1, 150'000); }

TEST(ParkingStress, NorWithSeveralWorkers) { push_and_wait(3, 40'000); }

TEST(ParkingStress, WakeAllWakesAll) {
  random_source random;
  for (int round = 0; round < 300; ++round) thieves team(3, random);
}

}  // namespace

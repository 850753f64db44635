#include "plait/threads/cpu_count.hpp"

#include <gtest/gtest.h>
#include <sched.h>

#include <thread>

#include "plait/threads/thread_pool_executor.hpp"

namespace {

// Invariant 8: pools size themselves from affinity and cgroup quota, not from the core count.
TEST(Invariant8PoolSize, FollowsTheAffinityOfTheCallingThread) {
  EXPECT_GE(plait::usable_cpu_count(), 1u);
  EXPECT_LE(plait::usable_cpu_count(), std::thread::hardware_concurrency());
  std::thread([] {
    cpu_set_t allowed, one;
    ASSERT_EQ(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++cpu)
      if (CPU_ISSET(cpu, &allowed)) CPU_SET(cpu, &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    EXPECT_EQ(plait::usable_cpu_count(), 1u);
    EXPECT_EQ(plait::thread_pool_executor().max_workers(), 1u);
  }).join();
}

}  // namespace

// A program with a static initialiser that starts a thread: it would be missing in every fork.
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "plait/processes.hpp"

namespace {

struct early_thread {
  std::jthread thread{[](std::stop_token end) {
    while (!end.stop_requested()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }};
} early;

TEST(EarlyThread, APoolFallsBackToSpawn) {
  plait::process_pool_executor pool{2};
  EXPECT_TRUE(pool.submit([] { return early.thread.joinable(); }).get());
  EXPECT_EQ(pool.statistics().start, plait::start_method::spawn);
  EXPECT_THROW(pool.submit([]() -> int { _exit(3); }).get(), plait::worker_crashed);
  EXPECT_EQ(pool.submit([](int n) { return n + 1; }, 1).get(), 2);
}

}  // namespace

// Frames come from the block cache and go back to it: in a steady state nothing reaches the heap.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <vector>

#include "virtual_run.hpp"

using namespace std::chrono_literals;

namespace {
std::atomic<long> taken{0}, returned{0};
}

// Not inlined: GCC would take malloc's block for one that must not meet operator delete.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  ++taken;
  if (void* block = std::malloc(bytes)) return block;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* block) noexcept {
  if (block != nullptr) ++returned;
  std::free(block);
}
[[gnu::noinline]] void operator delete(void* block, std::size_t) noexcept {
  operator delete(block);
}

namespace {

plait::task<int> one() { co_return 1; }
plait::task<int> one_later() {
  co_await plait::sleep(1ms);
  co_return 1;
}

// Runs `turn` until the caches are warm, then counts the heap's blocks over a thousand more.
template <class F>
long heap_blocks_of_a_thousand(F turn) {
  return virtual_run([&]() -> plait::task<long> {
    for (int i = 0; i < 10; ++i) co_await turn();
    const long before = taken;
    for (int i = 0; i < 1000; ++i) co_await turn();
    co_return taken - before;
  });
}

TEST(FrameMemory, AnAwaitedTaskTakesNoBlockOfTheHeap) {
  EXPECT_EQ(heap_blocks_of_a_thousand(one), 0);
  EXPECT_EQ(heap_blocks_of_a_thousand(one_later), 0);
}

TEST(FrameMemory, ASpawnedTaskTakesNoBlockOfTheHeap) {
  EXPECT_EQ(heap_blocks_of_a_thousand([]() -> plait::task<> { co_await plait::spawn(one()); }), 0);
}

TEST(FrameMemory, ATimeoutTakesNoBlockOfTheHeap) {
  EXPECT_EQ(heap_blocks_of_a_thousand(
                []() -> plait::task<> { co_await plait::timeout(1s, one_later()); }),
            0);
}

TEST(FrameMemory, ALoopGivesBackEveryBlock) {
  const auto program = []() -> plait::task<> {
    std::vector<plait::task<int>> tasks;
    for (int i = 0; i < 5000; ++i) tasks.push_back(one_later());
    auto left_behind = plait::spawn(one_later());
    co_await plait::gather(std::move(tasks));
  };
  virtual_run(program);  // fills the caches
  const long before = taken - returned;
  for (int i = 0; i < 5; ++i) virtual_run(program);
  EXPECT_EQ(taken - returned, before);
}

}  // namespace

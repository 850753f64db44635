// plait/testing/seed.hpp: the one number that a shuffled test depends on, printed where it can be
// seen.
//
// Every test that draws at random takes its seed from here, so that a failure can be repeated:
//   PLAIT_SEED=12345 ./state_stress_test
// Threads:  next() belongs to one thread; split() gives another thread a seed of its own.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace plait::testing {

// From PLAIT_SEED when it is set, else a fresh one; the first call prints it.
inline std::uint64_t run_seed() {
  static const std::uint64_t value = [] {
    const char* given = std::getenv("PLAIT_SEED");
    const std::uint64_t chosen =
        given != nullptr ? std::strtoull(given, nullptr, 0) : std::uint64_t{std::random_device{}()};
    std::printf("seed: PLAIT_SEED=%llu repeats this order\n",
                static_cast<unsigned long long>(chosen));
    std::fflush(stdout);
    return chosen;
  }();
  return value;
}

// splitmix64 (Steele, Lea, Flood 2014): small, seedable per thread, the same on every platform.
class random_source {
 public:
  explicit random_source(std::uint64_t seed = run_seed()) noexcept : state_(seed) {}
  std::uint64_t next() noexcept {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // In [0, end); `end` must not be 0.
  std::uint64_t below(std::uint64_t end) noexcept { return next() % end; }
  bool one_in(std::uint64_t n) noexcept { return below(n) == 0; }
  random_source split() noexcept { return random_source(next()); }

 private:
  std::uint64_t state_;
};

}  // namespace plait::testing

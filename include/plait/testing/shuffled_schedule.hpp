// plait/testing/shuffled_schedule.hpp: what runs next on a loop, drawn from a seed.
//
//   plait::testing::virtual_clock clock;
//   plait::testing::shuffled_schedule schedule;      // seeded by PLAIT_SEED, or a fresh seed, printed
//   plait::run(program(), {.clock = &clock, .schedule = &schedule});
//
// A program of one loop on virtual time goes the same way whenever it is given the same seed. Where
// other threads or real sockets answer, the choices are the same and what there is to choose from
// is not.
//
// Threads:  one loop's.
// See:      plait/testing/explore.hpp, which runs a program under many seeds.
#pragma once

#include <cstddef>
#include <cstdint>

#include "plait/coroutines/schedule.hpp"
#include "plait/testing/seed.hpp"

namespace plait::testing {

class shuffled_schedule final : public schedule {
 public:
  explicit shuffled_schedule(std::uint64_t seed = run_seed()) noexcept
      : seed_(seed), random_(seed) {}

  std::size_t choose(std::size_t count) noexcept override {
    const auto chosen = static_cast<std::size_t>(random_.below(count));
    ++choices_;
    way_ = random_source(way_ ^ (count << 32 | chosen)).next();
    return chosen;
  }

  std::uint64_t seed() const noexcept { return seed_; }
  std::size_t choices() const noexcept { return choices_; }
  // Of all choices so far: two runs of one program that went the same way have the same number.
  std::uint64_t way() const noexcept { return way_; }

 private:
  std::uint64_t seed_;
  random_source random_;
  std::size_t choices_ = 0;
  std::uint64_t way_ = 0;
};

}  // namespace plait::testing

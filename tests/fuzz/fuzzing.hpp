// tests/fuzz/fuzzing.hpp: a parser against bytes that were never meant for it.
//
//   TEST(Fuzz, Urls) {
//     fuzz({.seeds = {"http://a/b?c"}, .words = {"//", "%00"}}, [](std::string_view bytes) { ... });
//   }
//
// Inputs are seeds that were cut, joined, repeated and strewn with words and noise. In a build with
// AddressSanitizer the parsers count the branches that they take, and an input which took a new one
// becomes a seed itself. What fails, by a throw, a failed EXPECT or a signal, is printed in full.
//
//   PLAIT_SEED=7 PLAIT_FUZZ_ROUNDS=1000000 fuzz_test --gtest_filter=Fuzz.Urls
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace plait::testing {

struct fuzzing {
  std::vector<std::string> seeds;
  std::vector<std::string> words = {};
  std::size_t longest = 600;  // bytes of an input
  std::size_t rounds = 20'000;
};

void fuzz(fuzzing plan, const std::function<void(std::string_view)>& parse);

}  // namespace plait::testing

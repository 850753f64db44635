// plait/testing/executor_conformance.hpp: every promise of an executor, as tests for any engine.
//
// Describe the engine and register it before main(); GoogleTest then lists and runs one test a
// promise, named "Conformance/<name>.<Promise>":
//
//   struct my_engine {
//     static constexpr bool shares_memory = true;      // its calls run in this address space
//     explicit my_engine(std::size_t workers);         // at least this many calls at once; 1: exactly
//     my_executor& executor();                         // submit, map
//     void shutdown(plait::shutdown_options options);  // and wait until its calls have ended
//   };                                                 // destroyed: as the engine is
//   const bool registered = plait::testing::register_executor_conformance<my_engine>("MyEngine");
//
// An engine that runs one call at a time, as an event loop does, may ignore `workers`. The calls are
// plain functions of values, so that an engine may run them in another process; where memory is not
// shared, exceptions of types that only the program knows are expected as remote_error, and nothing
// is expected of stop tokens.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "plait/testing/conformance/collections.hpp"
#include "plait/testing/conformance/endings.hpp"
#include "plait/testing/conformance/results.hpp"

namespace plait::testing {

template <class Engine>
concept engine_under_test = requires(Engine& engine, shutdown_options options) {
  { Engine::shares_memory } -> std::convertible_to<bool>;
  requires std::is_constructible_v<Engine, std::size_t>;
  requires executor<std::remove_reference_t<decltype(engine.executor())>>;
  engine.shutdown(options);
};

namespace conformance {

class test : public ::testing::Test {
 public:
  explicit test(void (*run)()) : run_(run) {}
  void TestBody() override { run_(); }

 private:
  void (*run_)();
};

template <std::size_t N>
void register_checks(const std::string& suite, const std::array<check, N>& checks) {
  for (const auto& c : checks)
    ::testing::RegisterTest(suite.c_str(), c.name, nullptr, nullptr, __FILE__, __LINE__,
                            [run = c.run] { return new test(run); });
}

}  // namespace conformance

// Returns true, so that it can initialise a constant.
template <engine_under_test Engine>
bool register_executor_conformance(const std::string& name) {
  const std::string suite = "Conformance/" + name;
  conformance::register_checks(suite, conformance::results<Engine>::list);
  conformance::register_checks(suite, conformance::collections<Engine>::list);
  conformance::register_checks(suite, conformance::endings<Engine>::list);
  if constexpr (Engine::shares_memory)
    conformance::register_checks(suite, conformance::endings_in_shared_memory<Engine>::list);
  return true;
}

}  // namespace plait::testing

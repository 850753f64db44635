// plait/testing/conformance/calls.hpp: what the conformance suite asks an engine to run.
//
// Plain functions of values, because that is what every engine can run, also in another process.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <new>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <vector>

#include "plait/testing/gate.hpp"
#include "plait/testing/tally.hpp"

namespace plait::testing::conformance {

using number = std::int64_t;

inline void do_nothing() {}
inline number square(number n) { return n * n; }
inline number add(number a, number b) { return a + b; }
inline std::string reversed(std::string text) { return {text.rbegin(), text.rend()}; }
inline std::vector<number> doubled(std::vector<number> numbers) {
  for (auto& n : numbers) n *= 2;
  return numbers;
}
inline number fail_at_seven(number n) { return n == 7 ? throw std::out_of_range("seven") : n; }

// Waits at a gate.
inline number pass(std::string gate_name, number n) {
  gate::pass(gate_name);
  return n;
}
// Says at a gate that it runs, then runs until it is asked to stop.
inline std::string until_stopped(std::stop_token stop, std::string gate_name) {
  gate::arrive(gate_name);
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock hold(mutex);
  never.wait(hold, stop, [] { return false; });
  return "stopped";
}
inline number note(std::string tally_name, number n) {
  tally::note(tally_name, n);
  return n;
}

// The same as one argument, for map.
struct note_to {
  std::string tally_name;
  number operator()(number n) const { return note(tally_name, n); }
};

// An exception that only this program knows.
struct custom_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};
enum class thrown : std::int64_t {
  runtime_error,
  logic_error,
  invalid_argument,
  out_of_range,
  domain_error,
  length_error,
  overflow_error,
  range_error,
  bad_alloc,
  custom_error,
  integer,
};
inline number throws(number what, std::string message) {
  switch (static_cast<thrown>(what)) {
    case thrown::runtime_error:
      throw std::runtime_error(message);
    case thrown::logic_error:
      throw std::logic_error(message);
    case thrown::invalid_argument:
      throw std::invalid_argument(message);
    case thrown::out_of_range:
      throw std::out_of_range(message);
    case thrown::domain_error:
      throw std::domain_error(message);
    case thrown::length_error:
      throw std::length_error(message);
    case thrown::overflow_error:
      throw std::overflow_error(message);
    case thrown::range_error:
      throw std::range_error(message);
    case thrown::bad_alloc:
      throw std::bad_alloc();
    case thrown::custom_error:
      throw custom_error(message);
    case thrown::integer:
      throw 42;
  }
  return what;
}

// A check of the suite: its name as ctest shows it, and what it does, with gtest's expectations.
struct check {
  const char* name;
  void (*run)();
};

}  // namespace plait::testing::conformance

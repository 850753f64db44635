// tests/soak/tally.hpp: how calls ended, by engine; what may not happen is told at once.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>

#include "plait/core/clock.hpp"
#include "plait/core/errors.hpp"
#include "plait/core/future.hpp"

namespace soak {

using namespace std::chrono_literals;

// What calls throw on purpose.
struct deliberate : std::runtime_error {
  deliberate() : std::runtime_error("deliberate") {}
};

struct tally {
  const char* engine;
  std::atomic<std::uint64_t> done{0}, failed{0}, cancelled{0}, lost{0};

  // Something that no fault excuses: a wrong value, or an exception of no tree.
  static inline std::atomic<std::uint64_t> wrong{0};
  void complain(const std::string& about) const {
    if (wrong.fetch_add(1) < 20) std::fprintf(stderr, "soak: %s: %s\n", engine, about.c_str());
  }

  // Inside of a handler: what kind of end the exception is.
  void count_exception() {
    try {
      throw;
    } catch (const plait::cancelled_error&) {
      ++cancelled;
    } catch (const deliberate&) {
      ++failed;
    } catch (const plait::error& error) {
      if (std::string(error.what()).find("deliberate") != std::string::npos) {
        ++failed;
        return;
      }
      ++lost;  // killed, cut, too late
    } catch (const std::exception& error) {
      if (std::string(error.what()) == "deliberate") {
        ++failed;
      } else {
        complain(std::string("an exception that nobody meant: ") + error.what());
      }
    }
  }

  // Waits for a call; one that does not end is what this program is there to find.
  template <class T>
  void settle(plait::future<T>& call, const T* expected = nullptr) {
    if (!call.wait_for(90s)) {
      std::fprintf(stderr, "soak: %s: a call has not ended after 90 s\n", engine);
      std::fflush(nullptr);
      std::abort();
    }
    try {
      const T value = call.get();
      if (expected != nullptr && !(value == *expected)) complain("a wrong value");
      ++done;
    } catch (...) {
      count_exception();
    }
  }

  void print() const {
    std::printf(
        "  %-12s %9llu done %8llu failed on purpose %8llu cancelled %8llu lost to a fault\n",
        engine, static_cast<unsigned long long>(done), static_cast<unsigned long long>(failed),
        static_cast<unsigned long long>(cancelled), static_cast<unsigned long long>(lost));
  }
};

}  // namespace soak

// plait/testing/unhandled_recorder.hpp: catches what the unhandled-exception handler hears, for a
// test.
//
// Threads:  one recorder at a time in a program; exceptions may be reported from any thread.
// Blocks:   wait_for_count, until enough have come or ten seconds have passed.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <mutex>
#include <string>
#include <vector>

#include "plait/core/errors.hpp"

namespace plait::testing {

class unhandled_recorder {
 public:
  struct entry {
    std::string message, origin;
  };

  unhandled_recorder() : previous_(set_unhandled_exception_handler(&record)) {
    const std::lock_guard hold(heard().mutex);
    heard().entries.clear();
  }
  ~unhandled_recorder() { set_unhandled_exception_handler(previous_); }
  unhandled_recorder(const unhandled_recorder&) = delete;
  unhandled_recorder& operator=(const unhandled_recorder&) = delete;

  std::vector<entry> entries() const {
    const std::lock_guard hold(heard().mutex);
    return heard().entries;
  }
  std::size_t count() const { return entries().size(); }
  // Waits until at least `n` have been heard; false when they do not come.
  bool wait_for_count(std::size_t n) const {
    std::unique_lock hold(heard().mutex);
    return heard().more.wait_for(hold, std::chrono::seconds(10),
                                 [&] { return heard().entries.size() >= n; });
  }

 private:
  struct record_of_all {
    std::mutex mutex;
    std::condition_variable more;
    std::vector<entry> entries;
  };
  static record_of_all& heard() {
    static record_of_all all;
    return all;
  }
  static void record(const unhandled_exception& unhandled) noexcept {
    std::string message = "not a std::exception";
    try {
      std::rethrow_exception(unhandled.error);
    } catch (const std::exception& e) {
      message = e.what();
    } catch (...) {
    }
    const std::lock_guard hold(heard().mutex);
    heard().entries.push_back({std::move(message), unhandled.origin});
    heard().more.notify_all();
  }
  unhandled_exception_handler previous_;
};

}  // namespace plait::testing

// celery/sqlite/bell.hpp: how processes that share a file hear of each other's commits.
//
// The bell is an empty file beside the database, FILE-bell. Who has committed something that others
// wait for writes one byte to it; who waits has an inotify watch on it. A watch on SQLite's own
// write-ahead log would be heard before the commit can be seen, and the wake-up would be lost.
//
// Threads:  ring from any thread; the rest belongs to the loop.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "plait/coroutines/event.hpp"
#include "plait/coroutines/event_loop.hpp"
#include "plait/coroutines/readiness.hpp"

namespace plait::celery::sqlite {

class bell {
 public:
  // Throws transport_error.
  explicit bell(const std::string& database_file);
  ~bell();

  void ring() noexcept;
  // Grows with every ring that was heard.
  std::uint64_t rings() const noexcept { return rings_; }
  // Waits until rings() is no longer `seen`, but not longer than `at_most`.
  task<> wait(std::uint64_t seen, duration at_most);
  // Hears, until it is stopped.
  task<> listen();

 private:
  int file_ = -1;
  int watch_ = -1;
  std::unique_ptr<plait::detail::readiness> readiness_;
  event rang_;
  std::uint64_t rings_ = 0;
};

}  // namespace plait::celery::sqlite

// celery/result_backend.hpp: the seam to what keeps results.
//
// Threads, stops, throws: as broker.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "plait/core/clock.hpp"
#include "plait/coroutines/task.hpp"

namespace plait::celery::detail {

// (With constructors: GCC 12 destroys temporary aggregates twice where they are awaited.)
struct stored_result {
  stored_result() = default;
  stored_result(std::string task, std::string new_state, std::string text,
                duration kept = std::chrono::hours(24))
      : id(std::move(task)), state(std::move(new_state)), meta(std::move(text)), expires(kept) {}
  std::string id;     // of the task
  std::string state;  // SUCCESS, FAILURE, REVOKED are final; STARTED, RETRY and custom ones are not
  std::string meta;   // the JSON text under celery-task-meta-<id>
  duration expires = std::chrono::hours(24);  // zero: kept for ever
};

// One part of a chord has ended.
struct chord_part {
  chord_part() = default;
  chord_part(std::string of, std::string task, std::optional<std::int64_t> place, std::string e)
      : group(std::move(of)), task_id(std::move(task)), index(place), entry(std::move(e)) {}
  std::string group;
  std::string task_id;
  std::optional<std::int64_t> index = {};  // of the part; without one it comes last
  std::string entry;                       // JSON [1, task id, state, result]
};

class result_backend {
 public:
  result_backend() = default;
  result_backend(const result_backend&) = delete;
  result_backend& operator=(const result_backend&) = delete;
  virtual ~result_backend() = default;

  // False, and nothing is written, if the task has SUCCESS already: that never regresses. Whoever
  // waits hears of it.
  virtual task<bool> store(stored_result result) = 0;
  // The meta text; nothing for a task that nobody stored anything about (PENDING) or that expired.
  virtual task<std::optional<std::string>> get(std::string id) = 0;
  // Waits, asleep, for a final state; several may wait for one. It may be there already.
  virtual task<std::string> wait(std::string id) = 0;
  virtual task<> forget(std::string id) = 0;

  // A group's members, as Celery's GroupResult.save() keeps them. Nothing if they expired, or were
  // never saved.
  virtual task<> save_group(std::string id, std::string text, duration expires);
  virtual task<std::optional<std::string>> restore_group(std::string id);

  // Before the last part is published.
  virtual task<> begin_chord(std::string group, std::size_t size) = 0;
  // Counts each task once. The last part gets every entry, in order of index; others get nothing.
  // Who was last stays last: delivered twice, it gets them again.
  virtual task<std::optional<std::vector<std::string>>> end_chord_part(chord_part part) = 0;
  // The body is in the queue: from now on nobody is last, whatever is delivered once more.
  virtual task<> close_chord(std::string group);
};

}  // namespace plait::celery::detail

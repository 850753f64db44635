// src/inspect/registry.hpp: every pool and loop of this program, for those who look inside.
//
// An engine is entered when it is complete and taken out before any part of it goes. Being looked at
// does not hold a lock that other engines need: the one that is looked at is pinned, and only its own
// end waits.
#pragma once

#include "inspect/activity.hpp"
#include "inspect/json_writer.hpp"
#include "inspect/symbols.hpp"

namespace plait::detail {

// What a description needs beside the writer.
struct inspection {
  json_writer& out;
  symbols& names;
};

class inspected {
 public:
  enum class engine_kind { loop, thread_pool, process_pool };
  // Writes one JSON object; any thread, under no lock.
  virtual void describe(inspection& into) = 0;

  // Belongs to the registry.
  struct entry {
    engine_kind which;
    inspected* engine;
    entry *previous = nullptr, *next = nullptr;
    int pins = 0;
    unsigned long number = 0;  // in order of creation
  };
  inspected(const inspected&) = delete;
  inspected& operator=(const inspected&) = delete;

 protected:
  explicit inspected(engine_kind k) noexcept : entry_{k, this} {}
  ~inspected() = default;
  // The first of a process opens the door and starts the trace, if the environment asks for it.
  void enter() noexcept;
  void leave() noexcept;

 private:
  entry entry_;
};

// The fields of an open object that say what a thread runs: call, submitted, seconds.
void write_run(inspection& into, const activity::snapshot& run);
// And what the kernel says of it: kernel, see thread_state.hpp.
void write_thread_state(inspection& into, int tid);

// Calls describe() of every engine of that kind, oldest first, each a JSON object of an open array.
void describe_all(inspected::engine_kind which, inspection& into);

}  // namespace plait::detail

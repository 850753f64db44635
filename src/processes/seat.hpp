// One worker's place in a pool: the pool's side of a channel, and what is known of the process.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "plait/processes/remote_call.hpp"
#include "processes/channel.hpp"
#include "processes/descriptor.hpp"
#include "processes/message_memory.hpp"

namespace plait::detail {

// How much of a worker's standard error is kept.
inline constexpr std::size_t tail_size = 8 * 1024;

// Why a worker is killed by its own pool.
enum class sentence : std::uint8_t { none, timeout, deadline, killed, terminated, overwrote };

// What a new worker is given: made in advance, since that takes as long as waking it.
struct channel_files {
  descriptor memory;
  descriptor_pair sockets, errors;
  static channel_files make();  // throws std::system_error
};

// Guarded by the engine's mutex, but for what is atomic. Only the manager makes a seat empty or fills
// it, so it may look at `state` for that without the mutex.
struct seat {
  enum class life : std::uint8_t {
    empty,     // no process, no channel
    alive,     // takes calls, also while its process is still starting
    retiring,  // takes no more calls, finishes those it has, and leaves
  };
  explicit seat(std::uint32_t i) noexcept : index(i) {}

  const std::uint32_t index;
  // Set once, before the seat is published; the memory behind it changes with each generation.
  channel* shared = nullptr;
  std::atomic<std::uint32_t> harvested{
      0};  // sequence number of the oldest call that is not taken back

  std::atomic<life> state{life::empty};
  std::uint32_t generation = 0;
  std::uint32_t placed = 0;    // sequence number of the next call
  std::size_t tasks = 0;       // calls placed and not taken back, in this worker's life
  std::size_t most_tasks = 0;  // 0: any number
  bool proven = false;         // it has answered a call
  bool enclosed = false;       // its first packet was there: C7
  sentence condemned =
      sentence::none;  // it is to be killed for the call it runs, no other being there
  std::uint32_t condemned_call = 0;  // its sequence number
  bool signalled = false;            // and that has been done
  bool dead = false;                 // its process is gone; what it left is being read
  descriptor handle;                 // pidfd
  descriptor socket;                 // for large messages
  remote_job* jobs[slot_count] = {};
  std::uint64_t marks[slot_count] = {};  // of `arena` after each placed call
  ring_arena arena;
  seen_messages replies;  // large ones, mapped

  std::uint32_t heard_call = 0;  // the call whose report is being heard, or was
  bool is_hearing = false;       // its listener runs
  bool was_last = false;         // the call had answered before
  std::int64_t odd_since = 0;    // when it was first seen to sleep over a call; 0: not lately
  std::uint32_t odd_call = 0;
  std::atomic<int> pid{0};  // 0 until the zygote has told; written by the manager

  // The manager's alone.
  descriptor errors;                    // what the worker writes to its standard error
  resource_usage usage;                 // of the process that died last
  std::optional<crash_cause> cause;     // of that death, once somebody asked
  std::uint64_t number = 0;             // of this worker in its pool
  std::uint64_t killed_for_memory = 0;  // processes of its control group
  std::string tail;                     // the end of it

  slot& slot_of(std::uint32_t sequence) const noexcept {
    return shared->slots[sequence % slot_count];
  }
  std::uint32_t in_flight() const noexcept {
    return placed - harvested.load(std::memory_order_relaxed);
  }
  // Calls behind the oldest one that could be taken back.
  std::uint32_t queued_behind() const noexcept {
    std::uint32_t n = 0;
    for (std::uint32_t q = harvested.load(std::memory_order_relaxed) + 1;
         static_cast<std::int32_t>(placed - q) > 0; ++q)
      n += jobs[q % slot_count] != nullptr;
    return n;
  }
  // C10. A worker stores a report before the reply.
  bool has_report_of(std::uint32_t sequence) const noexcept {
    return shared->report.load(std::memory_order_acquire) == 1 + sequence;
  }
  bool is_heard_now(std::uint32_t sequence) const noexcept {
    return is_hearing && heard_call == sequence;
  }
  bool is_heard_out(std::uint32_t sequence) const noexcept {
    return was_last && !is_hearing && heard_call == sequence;
  }
  // Whether a reply is there to be taken. Any thread, without the mutex: a hint.
  bool has_reply() const noexcept {
    return is_answered(
        slot_of(harvested.load(std::memory_order_relaxed)).state.load(std::memory_order_seq_cst));
  }
};

}  // namespace plait::detail

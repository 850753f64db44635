// The memory that one worker shares with its pool, and the protocol that decides whose a call is.
//
// One memfd a worker, mapped by the pool and by that worker alone. The pool places calls, the
// worker takes them in the order of their sequence numbers; call n lives in slot n % slot_count.
// There is no lock in it, and no other worker sees it: whoever dies can spoil nothing but its own
// channel.
//
// A slot's life
// -------------
//             pool                worker              worker             pool
//   free ────────────▶ queued ────────────▶ running ────────────▶ done ────────────▶ free
//                        │                           (or failed)                       ▲
//                        │ pool                             worker             pool     │
//                        └─────────────▶ revoked ────────────────▶ passed ─────────────┘
//
// C1  queued → running and queued → revoked are compare-and-swaps: exactly one side wins a call.
//     A call that the pool revoked has not begun and never will; it may be placed elsewhere.
// C2  The worker writes the reply before it stores done or failed (release); the pool reads it
//     after it has seen them (acquire), and before it stores free. `failed` carries an exception.
// C3  The worker visits every sequence number once, also revoked ones, which it marks as passed, so
//     that both sides agree on which call is next without talking about it.
// C4  At a worker's death, after the kernel has said so: done and failed are results like any
//     other; queued never began and is placed elsewhere; running is the one call that the death is about;
//     revoked and passed are nobody's. There is at most one running slot.
// C5  Sleeping: the worker stores asleep = 1, looks at its slot once more, and waits on asleep; the
//     pool stores queued, then reads asleep. Both in sequentially consistent order: one sees the
//     other. The pool's manager does the same with pool_page::listener and the doorbell.
// C6  The pool believes nothing. What a worker wrote is read once, checked, and copied out before it
//     is decoded; a large reply's file is mapped if it is sealed against shrinking and has all its
//     pages. What only the pool writes a worker has mapped for reading.
// C7  Behind a sandbox a call may be hostile code, which can store any state. So a sandboxed worker sends one
//     packet before its first call, which nobody can take back: from then on its death is not a
//     failed start, and the oldest call that it has counts as begun, whatever its slot says. The
//     pool's page is read only for it, large requests are sealed, and large replies are copied.
// C8  A call that scribbles over its channel harms itself, the answers that lie there, and nobody
//     else. Heads of messages and what lies in slots carry a checksum: a worker that finds its next
//     request spoilt says up to where it came and ends, so that the call begins elsewhere; a spoilt
//     answer fails its own call. A state that cannot be costs the worker its life.
// C9  Asking to stop: the pool stores 1 + sequence number in `stop` and wakes; whoever the call made
//     listen compares it with the call that runs. A word for an earlier call is nobody's.
// C10 What a running call says of itself: it fills the one place for reports when that is empty, stores
//     1 + its sequence number, and rings, whoever listens. The manager copies it out, tells the
//     call's listener, and only then stores 0 and wakes. A reply is not taken while a report of its call
//     lies there: every report is heard before the result. One of no such call is thrown away.
//
// Where bytes travel: up to 208 in the slot; up to 32 KiB in a ring of the channel, requests in one
// direction, replies in the other; more in a memfd of their own, whose descriptor goes over the
// worker's socket before the slot is published, together with those of the shared arrays that the
// message names. A call's descriptors are one packet, which begins with its sequence number; whoever
// comes to the slot takes it from the socket, also if the call is not its own any more (C3). A reply's
// memfd is lent: the worker keeps it in one of its places until the pool has counted that place's
// return, and then uses it again, warm. A channel's new generation is a new file mapped over the old
// addresses, so that whoever polls never sees a hole.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "core/relax.hpp"
#include "plait/processes/message.hpp"
#include "plait/processes/this_call.hpp"
#include "processes/crash_note.hpp"
#include "processes/message_memory.hpp"

namespace plait::detail {

enum class slot_state : std::uint32_t { free, queued, running, done, failed, revoked, passed };
constexpr bool has_result(slot_state s) noexcept {
  return s == slot_state::done || s == slot_state::failed;
}
// The pool has something to take back.
constexpr bool is_answered(slot_state s) noexcept {
  return has_result(s) || s == slot_state::passed;
}
enum class tier : std::uint8_t { in_slot, in_arena, in_memfd };

struct alignas(64) slot {
  std::atomic<slot_state> state;
  tier where;
  std::uint8_t attached;            // how many shared arrays come along
  bool has_listener;                // somebody hears its reports: C10
  std::uint64_t size;               // of the request, later of the reply
  std::uint64_t entry;              // token of the entry_point
  std::uint32_t offset;             // of in_arena
  std::uint32_t check;              // C8
  std::atomic<std::int64_t> began;  // CLOCK_MONOTONIC in ns, by the worker
  std::int64_t took;                // ns from began to the reply, by the worker
  std::byte bytes[encoder::inline_capacity];
};
static_assert(sizeof(slot) == 256);

inline constexpr std::uint32_t slot_count = 64;
inline constexpr std::size_t arena_size = 128 * 1024;
inline constexpr std::size_t arena_limit = 32 * 1024;  // the largest message in an arena

inline constexpr std::uint32_t lent_places = 8;

enum class worker_life : std::uint32_t {
  booting,
  initializing,
  ready,
  initializer_threw,
  limits_refused,
  overwritten  // C8: it found its channel spoilt, and has ended for that
};

// What the pool alone writes.
struct pool_words {
  std::uint64_t number;                          // of this worker in its pool
  alignas(64) std::atomic<std::uint64_t> leave;  // 1 + sequence number at which to leave; 0: never
  std::atomic<std::uint32_t> harvested;          // calls whose replies the pool has taken
  std::atomic<std::uint32_t> stop;               // C9; futex
  std::atomic<std::uint32_t> returned[lent_places];  // how often what was lent from there came back
  alignas(64) std::byte requests[arena_size];
};

struct channel {
  alignas(64) std::atomic<std::uint32_t> asleep;  // futex; the worker waits while it is 1
  alignas(64) std::atomic<worker_life> life;
  std::atomic<std::int32_t> pid;          // as the worker says
  std::atomic<std::uint32_t> next;        // of overwritten: the first call that has not begun
  std::atomic<std::uint32_t> hears;       // 1 + sequence number of a call that asked for a token
  std::atomic<std::uint64_t> own_memory;  // bytes, as the worker says
  std::atomic<std::uint32_t> complaint_size;  // what made it leave, as an encoded exception
  char complaint[1024];
  crash_note crash;
  slot slots[slot_count];
  std::byte replies[arena_size];
  alignas(64) std::atomic<std::uint32_t> report;  // C10; futex
  std::uint32_t report_size;
  char reported[this_call::report_limit];
  alignas(4096) pool_words pool;  // a worker has it for reading only
};

// What a slot says of its message, read once.
struct message_head {
  tier where;
  std::uint8_t attached;
  std::uint32_t offset;
  std::uint64_t size, entry;
  std::int64_t took;

  static message_head of(slot& s) noexcept;
  // How many bytes of the slot are the message's.
  std::size_t in_slot() const noexcept;
};
// C8, of a request (whose `took` is 0) or of a reply: over the head and what lies in the slot.
std::uint32_t checksum(const message_head& head, slot_state state, std::uint32_t sequence,
                       const std::byte* in_slot) noexcept;

// Shared by the pool and all of its workers.
struct pool_page {
  enum : std::uint32_t { nobody = 0, always = 1, when_idle = 2 };
  alignas(64) std::atomic<std::uint32_t> listener;  // who wants the doorbell rung
  alignas(64) std::atomic<std::uint32_t> hot;       // 1: somebody waits awake; workers may too
};

inline constexpr std::int64_t spin_budget_ns = 31'000;
// While calls are under way the pool looks at its workers that often, rung for or not.
inline constexpr std::int64_t look_interval_ns = 1'000'000'000, second_look_ns = 200'000'000;

// Space in one of the arenas, given and taken back in order.
class ring_arena {
 public:
  static constexpr std::uint64_t full = -1;
  // The offset of n bytes in one piece, or `full`. Never full when everything has been taken back.
  std::uint64_t allocate(std::size_t n) noexcept {
    const std::uint64_t start = (head_ + 15) / 16 * 16;
    const std::uint64_t position = start % arena_size;
    const std::uint64_t begin = position + n <= arena_size ? start : start + arena_size - position;
    if (begin + n - tail_ > arena_size) return full;
    head_ = begin + n;
    return begin % arena_size;
  }
  // Takes back what allocate() gave since mark(), before anybody was told.
  void rewind(std::uint64_t mark) noexcept { head_ = mark; }
  // What has been allocated so far, to be handed to free_up_to() later.
  std::uint64_t mark() const noexcept { return head_; }
  void free_up_to(std::uint64_t mark) noexcept { tail_ = mark; }

 private:
  std::uint64_t head_ = 0, tail_ = 0;
};

std::int64_t monotonic_ns() noexcept;
// Shared futexes.
void futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t value,
                std::int64_t at_most_ns = INT64_MAX) noexcept;
void futex_wake(std::atomic<std::uint32_t>& word) noexcept;

}  // namespace plait::detail

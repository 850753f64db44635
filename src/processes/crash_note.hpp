// What a dying worker leaves in its channel: where it was when the signal came.
//
// The handler runs on a stack of its own, so that it survives an overflow of the first. It calls
// nothing that is not async-signal-safe: it stores the fault's address and the return addresses as
// tokens, and passes the signal on to whoever had it before, or lets it kill with its default
// action: the exit status stays true. The pool turns tokens into names after the death.
//
// A sanitizer owns these signals and prints its own report; nothing is installed beside it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace plait::detail {

inline constexpr std::size_t max_crash_frames = 32;

// Zero: nothing has happened. Untrusted, as all that a worker writes.
struct crash_note {
  std::atomic<std::uint32_t>
      whole;  // 1: written; if the call went on all the same, the next one clears it
  std::int32_t signal;
  std::uint32_t has_address;  // the kernel named one
  std::uint32_t on_overflow;  // the address lies just past the stack
  std::uint64_t address;
  std::uint32_t frames;                    // how many tokens
  std::uint64_t tokens[max_crash_frames];  // of each frame's code; without a module: the address
};

// In a worker, once, on the thread that runs the calls. `note` outlives the process.
void watch_for_crashes(crash_note& note) noexcept;
// Whether a sanitizer's run-time library is in this program.
bool has_sanitizer() noexcept;

}  // namespace plait::detail

// src/core/relax.hpp: what a loop that looks for a change says to its CPU.
#pragma once

namespace plait::detail {

inline void relax() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace plait::detail

// The program and its libraries, numbered: how a function is named across address spaces.
//
// A token is the number of the module that holds the code and the code's offset in it. Numbers are
// given by the pool's process; its workers receive the list once, compare what each library is made
// of, and keep where each is loaded on their side.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace plait::detail {

struct module_identity {
  std::string path;      // empty: the program itself
  std::string build_id;  // hexadecimal; of a file without one, its device, inode, size and time
};

// All modules that are loaded now, by number. Grows as libraries are opened; numbers never change.
std::vector<module_identity> known_modules();

inline std::uint32_t module_of(std::uint64_t token) noexcept {
  return static_cast<std::uint32_t>(token >> 48) - 1;
}

// In a worker: the token of code at any address, or the address itself if no module that the pool
// knows has it. Async-signal-safe.
std::uint64_t token_in_worker(std::uint64_t address) noexcept;

// In a zygote: from now on tokens are those of the process that sent the list. Returns what differs
// from the code here, for a person to read; empty if nothing does.
std::string adopt_modules(const std::vector<module_identity>& theirs);

}  // namespace plait::detail

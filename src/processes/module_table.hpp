// The program and its libraries, numbered: how a function is named across address spaces.
//
// A token is the number of the module that holds the code and the code's offset in it. Numbers are
// given by the pool's process, one to each build that it ever had loaded, in a list that its
// workers read as it grows: one memfd a process, which they may map for reading only. A worker
// compares what each module is made of with what it has, and opens what it lacks from disk.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "processes/descriptor.hpp"

namespace plait::detail {

struct module_identity {
  std::string path;      // empty: the program itself
  std::string build_id;  // hexadecimal; of a file without one, its device, inode, size and time
  bool operator==(const module_identity&) const = default;
};

// All modules that were ever loaded, by number. Grows as libraries are opened; numbers never change.
std::vector<module_identity> known_modules();
// The same as a file for adopt_modules(), up to date with what is loaded now. Owned by the table.
int module_list();

inline std::uint32_t module_of(std::uint64_t token) noexcept {
  return static_cast<std::uint32_t>(token >> 48) - 1;
}

// In a worker: the token of code at any address, or the address itself if no module that the pool
// knows has it. Async-signal-safe.
std::uint64_t token_in_worker(std::uint64_t address) noexcept;

// In a zygote or worker: from now on tokens are those of the process that made the list. Returns
// what differs from the code here, for a person to read; empty if nothing does.
std::string adopt_modules(descriptor list);
// The same in a fork of that process, where all is in place: asks the loader nothing, whose locks
// another thread may have held.
void adopt_own_modules(descriptor list);

}  // namespace plait::detail

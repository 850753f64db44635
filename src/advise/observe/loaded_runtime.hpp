// src/advise/observe/loaded_runtime.hpp: which language's runtime a process has loaded, by what it exports.
//
// Never by a name of a program: CPython exports _PyRuntime, in which the GIL lies; V8 exports its
// isolates, a JVM its invocation interface, and Go's linker leaves a section of its own.
//
// Threads:  one at a time.
// Cost:     about 20 us a mapped library, once; a library that other processes map too is known.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "plait/advise/observation.hpp"

namespace plait::detail {

struct loaded_runtime {
  runtime_kind kind = runtime_kind::native;
  std::uint64_t gil_begin = 0, gil_end = 0;  // where _PyRuntime lies in that process
};

class runtime_finder {
 public:
  loaded_runtime find(int pid);

 private:
  struct exported {
    runtime_kind kind = runtime_kind::native;
    std::uint64_t value = 0, size = 0;  // of _PyRuntime
    bool fixed = false;                 // linked for fixed addresses
    std::uint64_t first_page = 0;       // of what is loaded
  };
  const exported& look_into(const std::string& path, std::uint64_t device, std::uint64_t inode);
  std::map<std::pair<std::uint64_t, std::uint64_t>, exported> known_;
};

}  // namespace plait::detail

// src/inspect/symbols.hpp: what code is called and where it lies in its file.
//
// For code of this process; elf_file reads the tables.
//
// Threads:  one at a time.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "inspect/elf_file.hpp"
#include "inspect/json_writer.hpp"
#include "plait/core/job.hpp"

namespace plait::detail {

class symbols {
 public:
  struct place {
    std::string function;       // demangled; a coroutine by its own name; empty if not known
    std::string file;           // of the program or library
    std::uint64_t address = 0;  // in that file, as addr2line takes it
  };
  // Cheap from the second time on; the reference is good until the next call.
  const place& find(const void* code);
  // What a person would call it: its name, else its function, else its type.
  std::string label(const job_origin& origin);
  void write(json_writer& to, const void* code);

 private:
  struct module {
    std::uint64_t bias = 0;  // what to add to an offset to have the file's own address
    std::vector<elf_file::function> functions;
  };
  const module& load(const std::string& path, const void* base);
  std::map<std::string, module> modules_;
  std::map<const void*, place> places_;
};

}  // namespace plait::detail

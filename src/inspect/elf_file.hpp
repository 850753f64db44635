// src/inspect/elf_file.hpp: the names of functions, from the symbol tables of a program or library.
//
// dladdr knows the dynamic symbols of what is loaded only; the functions that a program keeps to
// itself are in its file, unless somebody stripped it. Nothing in a file is believed: what points
// outside it is left out.
//
// Threads:  const members may be called from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace plait::detail {

class elf_file {
 public:
  // What cannot be read, or is no ELF file, has no functions.
  explicit elf_file(const char* path) noexcept;
  elf_file(const elf_file&) = delete;
  elf_file& operator=(const elf_file&) = delete;
  ~elf_file();

  // Whether it is linked for fixed addresses: then they are not counted from where it is loaded.
  bool is_fixed() const noexcept { return is_fixed_; }

  struct function {
    std::uint64_t begin, end;  // addresses as the file counts them
    std::string name;          // as the linker knows it
  };
  // All, by address.
  std::vector<function> functions() const;
  // Of each address: the name of the function around it, empty if there is none. In one pass, since
  // tables are long and addresses few.
  std::vector<std::string> names_of(const std::vector<std::uint64_t>& addresses) const;

 private:
  template <class T>
  const T* at(std::uint64_t offset, std::uint64_t count = 1) const noexcept;
  template <class Visit>
  void visit_functions(Visit visit) const;
  std::string_view bytes_;
  bool is_fixed_ = false;
};

// What a person calls the function behind a symbol: demangled, a coroutine by its own name.
std::string readable_name(const char* symbol);

}  // namespace plait::detail

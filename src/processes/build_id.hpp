// What a linker stamped a program or library with: the same for the same contents, on disk and loaded.
#pragma once

#include <string>

namespace plait::detail {

// Hexadecimal; empty if there is none.
std::string build_id_in(const char* notes, const char* end);
std::string build_id_of_file(const char* path);

}  // namespace plait::detail

// Names for addresses of code that another process of this program has stopped at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "plait/processes/errors.hpp"

namespace plait::detail {

// Tokens as a worker's crash_note has them. A function's name where any symbol table has one, also
// for functions that the dynamic linker does not know; else the file and the offset have to do.
std::vector<worker_crashed::frame> symbolise(const std::uint64_t* tokens, std::size_t n);

}  // namespace plait::detail

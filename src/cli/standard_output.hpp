// src/cli/standard_output.hpp: text to standard output, all of it.
#pragma once

#include <string_view>

namespace plait::cli {

// Throws complaint if it cannot be written.
void write_out(std::string_view text);

}  // namespace plait::cli

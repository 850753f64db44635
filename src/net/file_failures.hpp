// src/net/file_failures.hpp: what became of a file, as errors that say what to do.
#pragma once

#include <string>

namespace plait::net {

// `doing` is a verb: "open", "write to".
[[noreturn]] void throw_file_error(int code, const char* doing, const std::string& path);

}  // namespace plait::net

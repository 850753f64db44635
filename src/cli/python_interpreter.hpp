// src/cli/python_interpreter.hpp: the python3 that the article's code is run with, if there is one.
#pragma once

#include <string>

#include "cli/interruption.hpp"

namespace plait::cli {

struct python_interpreter {
  std::string path;      // empty: there is none, and `why_not` says why
  std::string version;   // "3.11.2"
  std::string aiohttp;   // its version, or empty
  std::string requests;  // its version, or empty
  std::string why_not;
  std::string why_no_aiohttp;  // the exception that importing it threw

  bool found() const noexcept { return !path.empty(); }
  // "Python 3.11.2 with aiohttp 3.8.4".
  std::string description() const;
};

// Asks /usr/bin/python3 and the python3 on PATH what they can import, both at once, and takes the one
// that has more of aiohttp and requests; or asks `wanted` alone, a path, or "none". Never throws
// because of Python.
python_interpreter find_python(const std::string& wanted, const interruption& stop);

}  // namespace plait::cli

// src/cli/python_scripts.hpp: the article's Python, run beside ours, as programs for python3 -c.
//
// Arguments:  PARENT-PID NAME URL COUNT SECONDS, as src/cli/measure/ has them; the result is one
//             JSON object on one line with the same keys. Standard library, and requests and aiohttp
//             where the caller says that they can be imported.
#pragma once

#include <string>

namespace plait::cli {

// Prints {"version": ..., "aiohttp": version or "", "requests": version or ""}.
extern const char python_probe[];

// The whole program: the article's functions and what measures them.
std::string python_program();

}  // namespace plait::cli

// src/cli/running_program.hpp: plait programs of this user that run now, and what they tell.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace plait::cli {

// The processes that have a door. Removes what programs left behind that were killed.
std::vector<int> programs_with_doors();

// What the program's door tells; see inspect::report(). Throws complaint, which says how to open a door.
nlohmann::json ask_program(int pid);

// Adds "source": "FILE:LINE" to every place that the program's debug information knows, by addr2line;
// without either it leaves the report as it is.
void add_source_lines(nlohmann::json& report);

}  // namespace plait::cli

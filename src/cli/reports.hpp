// src/cli/reports.hpp: a comparison as text for a terminal or a pipe, as JSON, and as one HTML file.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/comparison.hpp"
#include "cli/terminal.hpp"

namespace plait::cli {

std::string text_report(const comparison& c, const terminal& screen);
// The schema is in docs/compare.md.
nlohmann::ordered_json json_report(const comparison& c);
// Self-contained: styles and charts inside, nothing to load from anywhere.
std::string html_report(const comparison& c);

// Sentences that every report says.
inline constexpr const char* table_legend =
    "+ the tool stopped there, not the machine. Memory: of a thread what it has in RAM, its kernel "
    "stack and page tables; of a coroutine RAM; of a process the pages that it shares with nobody, "
    "and what its parent grew by. Calls go to an executor of one thread, one loop, one worker and "
    "come back.";
std::string describe_machine(const comparison& c);
std::string describe_sizes(const comparison& c);
std::string describe_limits(const comparison& c);

}  // namespace plait::cli

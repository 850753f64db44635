// src/cli/advise/advice_report.hpp: a diagnosis as ten lines, as JSON, and as one HTML file.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/terminal.hpp"
#include "plait/advise/diagnosis.hpp"

namespace plait::cli {

std::string advice_text(const observation& seen, const diagnosis& found, const terminal& screen);
// The schema is in docs/advise.md.
nlohmann::ordered_json advice_json(const observation& seen, const diagnosis& found);
// Self-contained, with a picture of what every thread did when.
std::string advice_html(const observation& seen, const diagnosis& found);

// What the advice means, in a few words: "about 64 threads at once".
std::string spoken(const diagnosis& found);
// "2x to 4x"; empty where there is nothing to expect.
std::string spoken_speedup(const diagnosis& found);

}  // namespace plait::cli

// src/cli/units.hpp: numbers as people read them: 1,000,000 and 12.3 KiB and 4.5 us.
#pragma once

#include <cstdint>
#include <string>

namespace plait::cli {

// What a measured number counts.
enum class unit { seconds, bytes, count, ratio };

// "1,000,000".
std::string grouped(std::uint64_t number);
// Three significant digits and a unit; plain ASCII ("us" for microseconds).
std::string format_seconds(double seconds);
std::string format_bytes(double bytes);
// "1.96x".
std::string format_ratio(double ratio);
std::string format(double value, unit u);
// The name of the unit in the JSON report: "seconds", "bytes", "count", "ratio".
const char* name_of(unit u);

}  // namespace plait::cli

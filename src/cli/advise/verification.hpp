// src/cli/advise/verification.hpp: what was predicted for other widths, against what they gave.
//
// Throughput is told by the program itself where it ends: the same work in less time. Where it goes on
// it is the bytes that arrive a second, or, without connections, the CPU time it gets a second.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "plait/advise/diagnosis.hpp"

namespace plait::cli {

struct verified_width {
  std::size_t width = 1;
  double predicted = 0;  // as a multiple of width 1's throughput; 0: nothing is predicted
  double measured = 0;
  const char* measured_by = "";
};

bool has_width(const std::vector<std::string>& command);
std::vector<std::string> at_width(std::vector<std::string> command, std::size_t width);
// Two, four, and what was advised.
std::vector<std::size_t> widths_to_verify(const diagnosis& found);
verified_width compare_width(std::size_t width, const observation& first, const diagnosis& found,
                             const observation& again);

std::string verification_text(const std::vector<verified_width>& widths);
nlohmann::ordered_json verification_json(const std::vector<verified_width>& widths);

}  // namespace plait::cli

// src/cli/progress_display.hpp: bars on standard error while something runs; only in a terminal.
#pragma once

#include <string>
#include <vector>

#include "cli/terminal.hpp"

namespace plait::cli {

class progress_display {
 public:
  explicit progress_display(const terminal& screen);
  ~progress_display() { clear(); }
  progress_display(const progress_display&) = delete;
  progress_display& operator=(const progress_display&) = delete;

  // One thing that runs now.
  struct line {
    std::string label;
    double seconds;   // since it began
    double fraction;  // of what it is expected to take
  };
  // Replaces what was drawn before. `seconds` of about `total` have passed.
  void draw(double fraction, double seconds, double total, const std::vector<line>& running);
  // Leaves the screen as it was.
  void clear();

 private:
  painter paint_;
  std::size_t drawn_lines_ = 0;
  bool cursor_hidden_ = false;
};

}  // namespace plait::cli

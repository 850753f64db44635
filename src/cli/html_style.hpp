// src/cli/html_style.hpp: the look of the HTML report.
#pragma once

namespace plait::cli {

extern const char html_style[];

}  // namespace plait::cli

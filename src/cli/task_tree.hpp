// src/cli/task_tree.hpp: a running program's report, as a person reads it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "cli/terminal.hpp"

namespace plait::cli {

// `shop::load<int>(int, const std::string&)` as `shop::load`; a lambda as `main::{lambda#1}`.
std::string short_name(const std::string& function);
// "load shop.cpp:12", as much of it as is known of a place in the report.
std::string describe_place(const nlohmann::json& place);

// What a task of the report waits for.
std::string wait_of(const nlohmann::json& task);

// The tables of `plait ps PID`.
std::string process_tables(const nlohmann::json& report, const terminal& out);
// The tree of `plait pstree PID`: who awaits whom, from the outermost tasks down.
std::string process_tree(const nlohmann::json& report, const terminal& out);
// One line a program, for `plait ps`.
std::string program_table(const std::vector<nlohmann::json>& reports, const terminal& out);

}  // namespace plait::cli

// src/cli/commands.hpp: one command a file; each adds itself to the command line.
//
// A command parses into its own options and sets `chosen` to what runs it; main calls that once the
// whole command line has been read. It returns how the tool ends, or throws complaint.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "cli/exit_status.hpp"

namespace plait::cli {

using command_run = std::function<exit_status()>;

void add_advise_command(CLI::App& tool, command_run& chosen);
void add_compare_command(CLI::App& tool, command_run& chosen);
// What shells complete with.
void add_completion_command(CLI::App& tool, command_run& chosen);
void add_fetch_command(CLI::App& tool, command_run& chosen);
// The page for man.
void add_manual_command(CLI::App& tool, command_run& chosen);
// ps and pstree.
void add_ps_commands(CLI::App& tool, command_run& chosen);
void add_queue_command(CLI::App& tool, command_run& chosen);
void add_serve_command(CLI::App& tool, command_run& chosen);
void add_worker_command(CLI::App& tool, command_run& chosen);
// Hidden: what compare runs in children.
void add_measure_command(CLI::App& tool, command_run& chosen);

}  // namespace plait::cli

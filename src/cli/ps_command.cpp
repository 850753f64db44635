// plait ps, plait pstree: what the plait programs of this user are doing.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "cli/commands.hpp"
#include "cli/running_program.hpp"
#include "cli/standard_output.hpp"
#include "cli/task_tree.hpp"

namespace plait::cli {
namespace {

struct ps_options {
  int pid = 0;
  enum class output { text, json } format = output::text;
};

exit_status list_programs(const ps_options& options) {
  std::vector<nlohmann::json> reports;
  for (const int pid : programs_with_doors()) {
    try {
      reports.push_back(ask_program(pid));
    } catch (const complaint& c) {  // it has ended meanwhile, or does not answer
      if (options.format == ps_options::output::text) fmt::print(stderr, "plait: {}\n", c.what());
    }
  }
  if (options.format == ps_options::output::json) {
    write_out(nlohmann::json(reports).dump(2) + "\n");
  } else if (reports.empty()) {
    write_out("no program with a door runs; start one with PLAIT_INSPECT=1 in its environment\n");
  } else {
    write_out(program_table(reports, terminal::of(STDOUT_FILENO)));
  }
  return exit_status::ok;
}

using renderer = std::string (*)(const nlohmann::json&, const terminal&);

exit_status show_program(const ps_options& options, renderer render) {
  nlohmann::json report = ask_program(options.pid);
  add_source_lines(report);
  write_out(options.format == ps_options::output::json
                ? report.dump(2) + "\n"
                : render(report, terminal::of(STDOUT_FILENO)));
  return exit_status::ok;
}

constexpr const char* footer =
    "The program needs an open door: PLAIT_INSPECT=1 in its environment, or a call of\n"
    "plait::inspect::open_door(). Only its own user can look. Lines of sources are shown where "
    "the\n"
    "program was built with -g and addr2line is installed. See docs/inside.md.";

}  // namespace

void add_ps_commands(CLI::App& tool, command_run& chosen) {
  const auto add = [&](const char* name, const char* what, renderer render) {
    auto options = std::make_shared<ps_options>();
    auto* command = tool.add_subcommand(name, what);
    auto* pid = command->add_option("pid", options->pid, "The process to look into")
                    ->check(CLI::PositiveNumber)
                    ->type_name("PID");
    if (render == process_tree) pid->required();
    command->add_flag_callback(
        "--json", [options] { options->format = ps_options::output::json; },
        "One JSON object on standard output");
    command->footer(footer);
    command->callback([options, render, &chosen] {
      chosen = [options, render] {
        return options->pid == 0 ? list_programs(*options) : show_program(*options, render);
      };
    });
  };
  add("ps", "Show the tasks, threads and workers of a running program; without PID: programs",
      process_tables);
  add("pstree", "Show which tasks of a running program await which", process_tree);
}

}  // namespace plait::cli

// plait measure NAME: one measurement in a process of its own. Hidden: for compare, and for the curious.
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/child_process.hpp"
#include "cli/commands.hpp"
#include "cli/measure/measurements.hpp"

namespace plait::cli {
namespace {

struct measure_options {
  std::string name;
  measurement_options sizes;
  int parent = 0;
};

exit_status measure(const measure_options& options) {
  if (options.parent != 0) die_with_parent(options.parent);
  for (const auto& m : all_measurements()) {
    if (m.name != options.name) continue;
    const std::string line = m.run(options.sizes).dump() + "\n";
    std::fwrite(line.data(), 1, line.size(), stdout);
    return std::fflush(stdout) == 0 ? exit_status::ok : exit_status::failed;
  }
  throw complaint(exit_status::usage, "there is no measurement named '" + options.name + "'");
}

}  // namespace

void add_measure_command(CLI::App& tool, command_run& chosen) {
  auto options = std::make_shared<measure_options>();
  auto* command = tool.add_subcommand("measure", "One measurement of compare, as JSON")->group("");
  command->add_option("name", options->name)->required();
  command->add_option("--url", options->sizes.url);
  command->add_option("--count", options->sizes.count);
  command->add_option("--rounds", options->sizes.rounds);
  command->add_option("--seconds", options->sizes.seconds);
  command->add_option("--parent", options->parent);
  command->callback([options, &chosen] { chosen = [options] { return measure(*options); }; });
}

}  // namespace plait::cli

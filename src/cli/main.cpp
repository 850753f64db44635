// plait: the tool. Reads the command line, runs the one command, and says in a line what went wrong.
//
// Nothing here or in any file of the tool runs before main: worker processes are this same program.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <exception>

#include "cli/commands.hpp"

namespace plait::cli {
namespace {

constexpr const char* footer =
    "Exit status: 0 all went well, 1 an experiment failed, 2 the command line or this machine "
    "stopped it,\n"
    "130 interrupted. Colours can be switched off with NO_COLOR=1.";

void say(const std::string& line) {
  const std::string text = "plait: " + line + "\n";
  std::fwrite(text.data(), 1, text.size(), stderr);
}

// A descriptor that is missing would be given to the first file that is opened, and then written to.
void require_standard_streams() {
  for (const int fd : {STDIN_FILENO, STDERR_FILENO})
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0) _exit(2);
  if (fcntl(STDOUT_FILENO, F_GETFD) < 0)
    throw complaint(exit_status::usage,
                    "standard output is closed; send it to a file or a terminal");
}

exit_status parse_and_run(int argc, char** argv) {
  CLI::App tool{"Threads, coroutines and worker processes: which one, measured on this machine."};
  tool.name("plait");
  tool.set_version_flag("--version", "plait " PLAIT_VERSION);
  tool.require_subcommand(1);
  tool.footer(footer);
  tool.get_formatter()->column_width(28);
  command_run chosen;
  add_advise_command(tool, chosen);
  add_compare_command(tool, chosen);
  add_fetch_command(tool, chosen);
  add_serve_command(tool, chosen);
  add_ps_commands(tool, chosen);
  add_worker_command(tool, chosen);
  add_queue_command(tool, chosen);
  add_completion_command(tool, chosen);
  add_manual_command(tool, chosen);
  add_measure_command(tool, chosen);
  const auto is_named = [&](const CLI::App* command) { return command->check_name(argv[1]); };
  if (argc > 1 && argv[1][0] != '-' && tool.get_subcommands(is_named).empty())
    throw complaint(exit_status::usage,
                    fmt::format("there is no command '{}'; see plait --help", argv[1]));
  try {
    tool.parse(argc, argv);
  } catch (const CLI::Success& asked) {  // --help, --version
    tool.exit(asked);
    return std::fflush(stdout) == 0 ? exit_status::ok : exit_status::usage;
  } catch (const CLI::ParseError& wrong) {
    const bool named = tool.get_subcommands().size() == 1;
    const std::string help =
        named ? "plait " + tool.get_subcommands().front()->get_name() : "plait";
    std::string what = wrong.what();
    if (what.ends_with('.')) what.pop_back();
    throw complaint(exit_status::usage, fmt::format("{}; see {} --help", what, help));
  }
  return chosen();
}

}  // namespace
}  // namespace plait::cli

int main(int argc, char** argv) {
  using namespace plait::cli;
  signal(SIGPIPE, SIG_IGN);  // a pipe that nobody reads is an error where it is written to
  try {
    require_standard_streams();
    return static_cast<int>(parse_and_run(argc, argv));
  } catch (const complaint& c) {
    say(c.what());
    return static_cast<int>(c.status());
  } catch (const std::exception& e) {
    say(fmt::format("{}; if that makes no sense to you, it is a bug: please report it", e.what()));
    return static_cast<int>(exit_status::usage);
  }
}

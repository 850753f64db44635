// plait manual: the page for man, made from the command line itself, so that it cannot be out of date.
#include <fmt/format.h>

#include <string>

#include "cli/commands.hpp"
#include "cli/standard_output.hpp"

namespace plait::cli {
namespace {

// As roff wants it: no backslashes of its own, hyphens that can be searched for, no line that begins with a
// dot or a quote.
std::string roff(const std::string& text) {
  std::string safe;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((i == 0 || text[i - 1] == '\n') && (text[i] == '.' || text[i] == '\'')) safe += "\\&";
    if (text[i] == '\\')
      safe += "\\e";
    else if (text[i] == '-')
      safe += "\\-";
    else
      safe += text[i];
  }
  return safe;
}

std::string in_capitals(std::string word) {
  for (char& c : word)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return word;
}

void describe(std::string& page, const CLI::Option& option) {
  if (option.get_group().empty()) return;
  std::string names;
  const auto add = [&](const std::string& name) {
    names += (names.empty() ? "" : ", ") + ("\\fB" + roff(name) + "\\fR");
  };
  for (const std::string& name : option.get_snames()) add("-" + name);
  for (const std::string& name : option.get_lnames()) add("--" + name);
  if (names.empty())
    names = "\\fI" + roff(option.get_name()) + "\\fR";
  else if (option.get_items_expected_max() > 0)
    names += " \\fIVALUE\\fR";
  page += ".TP\n" + names + "\n" + roff(option.get_description());
  if (!option.get_default_str().empty())
    page += roff(fmt::format(" (default: {})", option.get_default_str()));
  page += "\n";
}

std::string manual(const CLI::App& tool) {
  std::string page = ".TH PLAIT 1 \"\" \"plait " PLAIT_VERSION
                     "\" \"User Commands\"\n.SH NAME\n"
                     "plait \\- threads, coroutines and worker processes, measured\n.SH SYNOPSIS\n";
  const auto commands =
      tool.get_subcommands([](const CLI::App* command) { return !command->get_group().empty(); });
  for (const CLI::App* command : commands)
    page += fmt::format(".B plait {}\n[\\fIOPTIONS\\fR] [\\fIARGUMENTS\\fR]\n.br\n",
                        command->get_name());
  page += ".SH DESCRIPTION\n" + roff(tool.get_description()) + "\n";
  for (const CLI::App* command : commands) {
    page += fmt::format(".SH PLAIT {}\n{}\n", in_capitals(command->get_name()),
                        roff(command->get_description()));
    for (const CLI::Option* option : command->get_options({})) describe(page, *option);
    if (!command->get_footer().empty())
      page += ".PP\n.nf\n" + roff(command->get_footer()) + "\n.fi\n";
  }
  page += ".SH EXIT STATUS\n.nf\n" + roff(tool.get_footer()) + "\n.fi\n";
  return page;
}

}  // namespace

void add_manual_command(CLI::App& tool, command_run& chosen) {
  auto* command = tool.add_subcommand("manual", "Print the page for man: plait manual | man -l -");
  command->callback([&tool, &chosen] {
    chosen = [&tool] {
      write_out(manual(tool));
      return exit_status::ok;
    };
  });
}

}  // namespace plait::cli

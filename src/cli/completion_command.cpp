// plait completion: what bash, zsh and fish need to complete plait's command line, made from the command
// line itself.
#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "cli/commands.hpp"
#include "cli/standard_output.hpp"

namespace plait::cli {
namespace {

std::vector<const CLI::App*> visible_commands(const CLI::App& tool) {
  return tool.get_subcommands(
      [](const CLI::App* command) { return !command->get_group().empty(); });
}
std::vector<const CLI::Option*> visible_options(const CLI::App& command) {
  return command.get_options([](const CLI::Option* option) {
    return !option->get_group().empty() && option->nonpositional();
  });
}
std::string options_of(const CLI::App& command) {
  std::string words;
  for (const CLI::Option* option : visible_options(command)) {
    for (const std::string& name : option->get_lnames()) words += " --" + name;
    for (const std::string& name : option->get_snames()) words += " -" + name;
  }
  return words.substr(words.empty() ? 0 : 1);
}
// The first sentence's first line: what fits beside a word.
std::string in_short(const std::string& description) {
  return description.substr(0, description.find('\n'));
}
std::string replaced(std::string text, char wrong, std::string_view right) {
  for (std::size_t at = 0; (at = text.find(wrong, at)) != text.npos; at += right.size())
    text.replace(at, 1, right);
  return text;
}

std::string for_bash(const CLI::App& tool) {
  std::string commands, cases;
  for (const CLI::App* command : visible_commands(tool)) {
    commands += command->get_name() + " ";
    cases += fmt::format("    {}) words='{}' ;;\n", command->get_name(), options_of(*command));
  }
  return fmt::format(
      R"(# bash completion for plait; source it, or put it into a folder of bash-completion.
_plait() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} words=
  COMPREPLY=()
  case ${{COMP_WORDS[1]-}} in
{}    *) [ "$COMP_CWORD" -gt 1 ] || words='{}{}' ;;
  esac
  if [ "$COMP_CWORD" -le 1 ]; then words='{}{}'; fi
  if [[ $word == -* || $COMP_CWORD -le 1 ]]; then
    while read -r match; do COMPREPLY+=("$match"); done < <(compgen -W "$words" -- "$word")
  fi
}}
complete -o default -F _plait plait
)",
      cases, commands, options_of(tool), commands, options_of(tool));
}

std::string for_zsh(const CLI::App& tool) {
  const auto quoted = [](std::string text) {
    text = replaced(replaced(replaced(std::move(text), '\'', "'\\''"), '[', "\\["), ']', "\\]");
    return replaced(std::move(text), ':', "\\:");
  };
  std::string commands, cases;
  for (const CLI::App* command : visible_commands(tool)) {
    commands += fmt::format("    '{}:{}'\n", command->get_name(),
                            quoted(in_short(command->get_description())));
    cases += fmt::format("    {})\n      _arguments \\\n", command->get_name());
    for (const CLI::Option* option : visible_options(*command)) {
      const bool takes_value = option->get_items_expected_max() > 0;
      for (const auto& [prefix, names] :
           {std::pair("--", option->get_lnames()), {"-", option->get_snames()}})
        for (const std::string& name : names)
          cases += fmt::format("        '{}{}[{}]{}' \\\n", prefix, name,
                               quoted(in_short(option->get_description())),
                               takes_value ? ":value:_files" : "");
    }
    cases += "        '*:file:_files' ;;\n";
  }
  return fmt::format(R"(#compdef plait
_plait() {{
  local -a commands
  commands=(
{}  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT -= 1 ))
  case $command in
{}  esac
}}
_plait "$@"
)",
                     commands, cases);
}

std::string for_fish(const CLI::App& tool) {
  const auto quoted = [](std::string text) {
    return replaced(replaced(std::move(text), '\\', "\\\\"), '\'', "\\'");
  };
  std::string text = "# fish completion for plait\n";
  for (const CLI::App* command : visible_commands(tool)) {
    text += fmt::format("complete -c plait -n __fish_use_subcommand -a {} -d '{}'\n",
                        command->get_name(), quoted(in_short(command->get_description())));
    for (const CLI::Option* option : visible_options(*command)) {
      text +=
          fmt::format("complete -c plait -n '__fish_seen_subcommand_from {}'", command->get_name());
      for (const std::string& name : option->get_lnames()) text += " -l " + name;
      for (const std::string& name : option->get_snames()) text += " -s " + name;
      if (option->get_items_expected_max() > 0) text += " -r";
      text += fmt::format(" -d '{}'\n", quoted(in_short(option->get_description())));
    }
  }
  return text;
}

}  // namespace

void add_completion_command(CLI::App& tool, command_run& chosen) {
  auto shell = std::make_shared<std::string>();
  auto* command = tool.add_subcommand("completion",
                                      "Print what a shell needs to complete plait's command line");
  command->add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->footer(
      "bash:  source <(plait completion bash)\n"
      "zsh:   plait completion zsh > a folder of $fpath, as _plait\n"
      "fish:  plait completion fish | source\n"
      "An installed plait has them in place already.");
  command->callback([shell, &tool, &chosen] {
    chosen = [shell, &tool] {
      const std::string text = *shell == "bash"  ? for_bash(tool)
                               : *shell == "zsh" ? for_zsh(tool)
                                                 : for_fish(tool);
      write_out(text);
      return exit_status::ok;
    };
  });
}

}  // namespace plait::cli

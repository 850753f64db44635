#include "plait/net/command.hpp"

#include <stdexcept>

namespace plait::net {
namespace {

std::string quoted(const std::string& word) {
  constexpr const char* harmless =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./,:@%";
  if (!word.empty() && word.find_first_not_of(harmless) == std::string::npos) return word;
  std::string text = "'";
  for (const char c : word) c == '\'' ? text += "'\\''" : text += c;
  return text + "'";
}

void check_name(std::string_view name) {
  if (name.empty() || name.find('=') != std::string_view::npos)
    throw std::invalid_argument("command: a variable's name is not empty and has no '='");
}

}  // namespace

command::command(std::vector<std::string> argv) : argv_(std::move(argv)) {
  if (argv_.empty()) throw std::invalid_argument("command: there is no program to run");
}

command& command::variable(std::string_view name, std::string_view value) {
  check_name(name);
  variables_.push_back({std::string(name), std::string(name).append("=").append(value)});
  return *this;
}

command& command::without_variable(std::string_view name) {
  check_name(name);
  variables_.push_back({std::string(name), {}});
  return *this;
}

std::string command::to_string() const {
  std::string text;
  for (const std::string& word : argv_) {
    if (!text.empty()) text += ' ';
    text += quoted(word);
  }
  return text;
}

}  // namespace plait::net

#include "processes/symbols.hpp"

#include <mutex>
#include <string>
#include <unordered_map>

#include "inspect/elf_file.hpp"
#include "processes/module_table.hpp"

namespace plait::detail {
namespace {

// Crashes repeat themselves.
struct memory {
  static constexpr std::size_t capacity = 4096;
  std::mutex mutex;
  std::unordered_map<std::uint64_t, std::string> functions;

  static memory& instance() {
    static auto* const one = new memory;
    return *one;
  }
};

}  // namespace

std::vector<worker_crashed::frame> symbolise(const std::uint64_t* tokens, std::size_t n) {
  const std::vector<module_identity> modules = known_modules();
  std::vector<worker_crashed::frame> frames(n);
  auto& known = memory::instance();
  const std::lock_guard hold(known.mutex);
  if (known.functions.size() > memory::capacity) known.functions.clear();
  for (std::size_t i = 0; i < n; ++i) {
    frames[i].offset = tokens[i] & 0xffff'ffff'ffff;
    if (module_of(tokens[i]) >= modules.size()) continue;
    const std::string& path = modules[module_of(tokens[i])].path;
    frames[i].module = path.empty() ? "the program" : path;
    if (known.functions.contains(tokens[i])) continue;
    std::vector<std::uint64_t> theirs, offsets;  // all frames of this module at once
    for (std::size_t j = i; j < n; ++j) {
      if (module_of(tokens[j]) != module_of(tokens[i])) continue;
      theirs.push_back(tokens[j]);
      offsets.push_back(tokens[j] & 0xffff'ffff'ffff);
    }
    // The program itself may have been replaced on disk; this link still leads to it.
    const elf_file file(path.empty() ? "/proc/self/exe" : path.c_str());
    const auto found = file.names_of(offsets);
    for (std::size_t j = 0; j < theirs.size(); ++j)
      known.functions[theirs[j]] = readable_name(found[j].c_str());
  }
  for (std::size_t i = 0; i < n; ++i) {
    const auto function = known.functions.find(tokens[i]);
    if (function != known.functions.end()) frames[i].function = function->second;
  }
  return frames;
}

}  // namespace plait::detail

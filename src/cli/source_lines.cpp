// Where a running program's functions are in their sources, as addr2line finds it.
#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "cli/child_process.hpp"
#include "cli/running_program.hpp"

namespace plait::cli {
namespace {

using nlohmann::json;

constexpr std::chrono::seconds limit(10);      // large programs have much debug information
constexpr std::size_t most_addresses = 5'000;  // of one file; a command line has an end

std::string find_addr2line() {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string file = (folder.empty() ? "." : folder) + "/addr2line";
    if (access(file.c_str(), X_OK) == 0) return file;
  }
  return "";
}

// Calls f with every place of the report: an object with "file" and "address".
template <class F>
void for_each_place(json& at, F f) {
  if (at.is_object() && at.contains("file") && at.contains("address")) {
    f(at);
  } else if (at.is_structured()) {
    for (auto& part : at) for_each_place(part, f);
  }
}

std::string output_of(const std::vector<std::string>& command) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  try {
    child_process child(command);
    while (!child.ended()) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          deadline - std::chrono::steady_clock::now());
      if (left.count() <= 0) return "";
      pollfd waiting[] = {{child.out_fd(), POLLIN, 0}, {child.exit_fd(), POLLIN, 0}};
      poll(waiting, 2, static_cast<int>(left.count()));
      child.read_available();
    }
    return child.out();
  } catch (const std::exception&) {
    return "";
  }
}

// Calls of submit and spawn are inlined: of the lines of one address, the innermost that is not
// plait's own is where the user wrote it.
bool is_ours(const std::string& line) { return line.find("/include/plait/") != std::string::npos; }

std::map<std::uint64_t, std::string> find_lines(const std::string& tool, const std::string& file,
                                                const std::set<std::uint64_t>& addresses) {
  std::vector<std::string> command{tool, "-a", "-i", "-e", file};
  for (const auto address : addresses) {
    if (command.size() > most_addresses) break;
    std::ostringstream hex;
    hex << "0x" << std::hex << address;
    command.push_back(hex.str());
  }
  std::map<std::uint64_t, std::string> found;
  std::istringstream lines(output_of(command));
  std::uint64_t address = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("0x")) {
      address = std::strtoull(line.c_str(), nullptr, 16);
      continue;
    }
    if (const auto more = line.find(" (discriminator"); more != std::string::npos)
      line.resize(more);
    const bool known = !line.starts_with("??") && !line.ends_with(":?") && !line.ends_with(":0");
    if (!known) continue;
    auto& place = found[address];
    if (place.empty() || is_ours(place)) place = line;
  }
  return found;
}

}  // namespace

void add_source_lines(json& report) {
  const std::string tool = find_addr2line();
  if (tool.empty()) return;
  std::map<std::string, std::set<std::uint64_t>> wanted;
  for_each_place(report, [&](json& place) {
    if (const auto file = place.value("file", ""); !file.empty())
      wanted[file].insert(place.value("address", std::uint64_t{0}));
  });
  std::map<std::string, std::map<std::uint64_t, std::string>> found;
  for (const auto& [file, addresses] : wanted) found[file] = find_lines(tool, file, addresses);
  for_each_place(report, [&](json& place) {
    const auto& lines = found[place.value("file", "")];
    if (const auto at = lines.find(place.value("address", std::uint64_t{0})); at != lines.end())
      place["source"] = at->second;
  });
}

}  // namespace plait::cli

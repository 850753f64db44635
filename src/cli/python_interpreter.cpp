#include "cli/python_interpreter.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <vector>

#include "cli/exit_status.hpp"
#include "cli/progress_display.hpp"
#include "cli/python_scripts.hpp"
#include "cli/schedule.hpp"

namespace plait::cli {
namespace {

constexpr double probe_limit_seconds = 10;

std::string first_on_path(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string file = (folder.empty() ? "." : folder) + "/" + name;
    if (access(file.c_str(), X_OK) == 0) return file;
  }
  return "";
}

std::vector<std::string> candidates(const std::string& wanted) {
  if (!wanted.empty())
    return {wanted.find('/') == std::string::npos ? first_on_path(wanted) : wanted};
  std::vector<std::string> found{"/usr/bin/python3", first_on_path("python3")};
  std::erase_if(found,
                [](const auto& file) { return file.empty() || access(file.c_str(), X_OK) != 0; });
  if (found.size() == 2 && found[0] == found[1]) found.pop_back();
  return found;
}

python_interpreter read_answer(const std::string& path, const outcome& answer) {
  python_interpreter python;
  if (!answer.ok()) {
    python.why_not = path + ": " + answer.error;
    return python;
  }
  python.path = path;
  python.version = answer.result.value("version", "3");
  python.aiohttp = answer.result.value("aiohttp", "");
  python.requests = answer.result.value("requests", "");
  python.why_no_aiohttp = answer.result.value("aiohttp_error", "");
  return python;
}

// aiohttp decides whether the third experiment can be run at all; urllib does for requests.
int worth(const python_interpreter& p) {
  return (p.found() ? 4 : 0) + (p.aiohttp.empty() ? 0 : 2) + (p.requests.empty() ? 0 : 1);
}

}  // namespace

std::string python_interpreter::description() const {
  std::string text = "Python " + version;
  std::string with;
  if (!requests.empty()) with += "requests " + requests;
  if (!aiohttp.empty()) with += (with.empty() ? "" : ", ") + ("aiohttp " + aiohttp);
  return with.empty() ? text : text + " with " + with;
}

python_interpreter find_python(const std::string& wanted, const interruption& stop) {
  python_interpreter best;
  if (wanted == "none") {
    best.why_not = "--python none";
    return best;
  }
  best.why_not = wanted.empty() ? "no python3 in /usr/bin or on PATH" : wanted + " is not there";
  phase probes;
  for (const auto& path : candidates(wanted))
    if (!path.empty())
      probes.push_back({{path, "python", {path, "-c", python_probe}, 0.5, probe_limit_seconds}});
  progress_display silent{terminal{}};
  for (const auto& [path, answer] : run_schedule({probes}, stop, silent)) {
    auto python = read_answer(path, answer);
    if (worth(python) > worth(best) || (!best.found() && !python.found())) best = std::move(python);
  }
  return best;
}

}  // namespace plait::cli

#include "plait/processes/errors.hpp"

#include <string.h>

#include <utility>

namespace plait {
namespace {

std::string cause(const worker_crashed::verdict& v) {
  if (v.signal == 0) return "exited with status " + std::to_string(v.exit_code);
  const char* name = sigabbrev_np(v.signal);
  const char* description = sigdescr_np(v.signal);
  return "was killed by signal " + std::to_string(v.signal) +
         (name != nullptr ? std::string(" (SIG") + name + ", " + description + ")" : "");
}

std::string sentence(const worker_crashed::verdict& v) {
  std::string text =
      "worker " + std::to_string(v.pid) + " " + cause(v) + " while it ran a " + v.call;
  if (v.stderr_tail.empty()) return text + "; it wrote nothing to stderr";
  text += "; the end of its stderr:\n" + v.stderr_tail;
  while (text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace

worker_crashed::worker_crashed(verdict v) : task_error(sentence(v)), verdict_(std::move(v)) {}

}  // namespace plait

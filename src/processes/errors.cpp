#include "plait/processes/errors.hpp"

#include <signal.h>
#include <string.h>

#include <cstdio>
#include <utility>

#include "processes/crash_note.hpp"

namespace plait {
namespace {

std::string megabytes(std::uint64_t bytes) {
  constexpr std::uint64_t mebi = 1 << 20;
  return std::to_string((bytes + mebi / 2) / mebi) + " MiB";
}

std::string cause(const worker_crashed::verdict& v) {
  switch (v.cause) {
    case crash_cause::out_of_memory:
      return "was killed by the kernel, which was out of memory (it had up to " +
             megabytes(v.usage.max_rss) + "),";
    case crash_cause::cpu_limit:
      return "used up its CPU time (" + detail::to_text(v.usage.user_time + v.usage.system_time) +
             ") and was killed";
    case crash_cause::killed_from_outside:
      return "was killed from outside by signal 9 (SIGKILL; it had up to " +
             megabytes(v.usage.max_rss) + ")";
    case crash_cause::signal:
    case crash_cause::exit:
      break;
  }
  if (v.signal == 0) return "exited with status " + std::to_string(v.exit_code);
  const char* name = sigabbrev_np(v.signal);
  const char* description = sigdescr_np(v.signal);
  return "was killed by signal " + std::to_string(v.signal) +
         (name != nullptr ? std::string(" (SIG") + name + ", " + description + ")" : "");
}

std::string where(const worker_crashed::verdict& v) {
  if (v.stack_overflow) return ", a stack overflow,";
  if (!v.fault_address) return "";
  char text[40];
  std::snprintf(text, sizeof text, " at address %#llx",
                static_cast<unsigned long long>(*v.fault_address));
  return *v.fault_address == 0 ? " at address 0" : text;
}

std::string line(const worker_crashed::frame& f) {
  char offset[40];
  std::snprintf(offset, sizeof offset, "+%#llx", static_cast<unsigned long long>(f.offset));
  const std::string place = (f.module.empty() ? "unknown code" : f.module) + offset;
  return "\n  in " + (f.function.empty() ? place : f.function + " (" + place + ")");
}

// How abort() and terminate() send their signal says nothing.
bool is_in_runtime(const worker_crashed::frame& f) {
  for (const char* library : {"/libc.so", "/libc-", "/libstdc++.so", "/libc++"})
    if (f.module.find(library) != std::string::npos) return true;
  return false;
}

std::string top_frames(const worker_crashed::verdict& v) {
  constexpr std::size_t shown = 6;
  std::size_t first = 0;
  if (v.signal == SIGABRT)
    while (first < v.frames.size() && is_in_runtime(v.frames[first])) ++first;
  if (first == v.frames.size()) first = 0;
  std::string text;
  for (std::size_t i = first; i < v.frames.size() && i < first + shown; ++i)
    text += line(v.frames[i]);
  if (text.empty() && v.signal != 0 && detail::has_sanitizer())
    text = "\n  (no frames: a sanitizer handles the signals of this program)";
  return text;
}

std::string sentence(const worker_crashed::verdict& v) {
  std::string text =
      "worker " + std::to_string(v.pid) + " " + cause(v) + where(v) + " while it ran a " + v.call;
  if (v.core_dumped) text += ", and left a core file";
  if (v.attempt > 1) text += ", attempt " + std::to_string(v.attempt);
  text += top_frames(v);
  if (v.stderr_tail.empty()) return text + "; it wrote nothing to stderr";
  text += "; the end of its stderr:\n" + v.stderr_tail;
  while (text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace

worker_crashed::worker_crashed(verdict v) : task_error(sentence(v)), verdict_(std::move(v)) {}

}  // namespace plait

#include "inspect/environment.hpp"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string_view>

#include "plait/inspect/door.hpp"
#include "plait/inspect/trace.hpp"

namespace plait::detail {
namespace {

std::atomic<bool> heeded{false};

void complain(const char* what, const std::exception& why) noexcept {
  std::fprintf(stderr, "plait: %s: %s\n", what, why.what());
}

bool is_on(const char* variable) noexcept {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0' && std::string_view(value) != "0";
}

void trace_if_asked(const char* variable, trace::file_mode mode) noexcept {
  if (!is_on(variable)) return;
  try {
    trace::start(std::getenv(variable), mode);
  } catch (const std::exception& e) {
    complain(variable, e);
  }
}

}  // namespace

void heed_environment() noexcept {
  if (heeded.load(std::memory_order_relaxed)) return;
  // A program that was started to be a process pool's zygote is to stay without threads.
  if (std::getenv("PLAIT_WORKER") != nullptr) return;
  if (heeded.exchange(true)) return;
  trace_if_asked("PLAIT_TRACE", trace::file_mode::begin);
  trace_if_asked("PLAIT_TRACE_JOIN", trace::file_mode::join);
  if (is_on("PLAIT_INSPECT")) {
    try {
      inspect::open_door();
    } catch (const std::exception& e) {
      complain("PLAIT_INSPECT: the door stays closed", e);
    }
  }
}

}  // namespace plait::detail

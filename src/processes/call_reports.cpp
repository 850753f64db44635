#include "processes/call_reports.hpp"

#include <unistd.h>

#include <mutex>
#include <stdexcept>
#include <string>

#include "processes/descriptor.hpp"

namespace plait::detail {
namespace {

// Of a worker; never destroyed, for a call's threads may outlive it.
struct reporter {
  reporter(channel& c, int bell) noexcept : own(c), doorbell(bell) {}

  channel& own;
  const int doorbell;
  const pid_t worker = getpid();
  std::atomic<std::uint32_t> call{0};  // 1 + sequence number of the one that runs, if it is heard
  std::mutex mutex;                    // a call's own threads take turns

  void say(std::string_view text) {
    const std::uint32_t from = call.load(std::memory_order_relaxed);
    const std::lock_guard turn(mutex);
    for (std::uint32_t there; (there = own.report.load(std::memory_order_acquire)) != 0;)
      futex_wait(own.report, there);
    if (call.load(std::memory_order_relaxed) != from)
      return;  // it ended while a thread waited here
    __builtin_memcpy(own.reported, text.data(), text.size());
    own.report_size = static_cast<std::uint32_t>(text.size());
    own.report.store(from, std::memory_order_seq_cst);
    ring(doorbell);
  }
};

reporter* reporter_of_this_process = nullptr;

}  // namespace

void carry_reports(channel& own, int doorbell) noexcept {
  reporter_of_this_process = new reporter(own, doorbell);
}
void begin_reports(std::uint32_t sequence, bool has_listener) noexcept {
  reporter_of_this_process->call.store(has_listener ? 1 + sequence : 0, std::memory_order_relaxed);
}
void end_reports() noexcept { reporter_of_this_process->call.store(0, std::memory_order_relaxed); }

}  // namespace plait::detail

namespace plait {

void this_call::report(std::string_view text) {
  if (text.size() > report_limit)
    throw std::length_error("a report of " + std::to_string(text.size()) +
                            " bytes: the longest is " + std::to_string(report_limit) +
                            ", what is large belongs into the call's result");
  auto* to = detail::reporter_of_this_process;
  if (to == nullptr || to->call.load(std::memory_order_relaxed) == 0) return;
  if (to->worker == getpid()) to->say(text);  // else a process that a call forked
}

}  // namespace plait

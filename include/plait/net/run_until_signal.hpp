// plait/net/run_until_signal.hpp: a program that Ctrl-C ends in order.
//
//   int main() {
//     try {
//       plait::net::run_until_signal(serve());
//     } catch (const plait::net::interrupted& stop) {
//       return stop.exit_code();
//     }
//   }
//
// plait::run(), in which the first SIGINT or SIGTERM stops the main task: its innermost await throws
// cancelled_error, and what it owns is put in order on the way out. From then on the signals do what
// they did before, so that a second Ctrl-C ends a program whose clean-up hangs. A signal that is
// ignored when the program starts (nohup, a shell's background job) stays ignored.
//
// Blocks:   until the main task has ended.
// Throws:   interrupted, if the task ended by that stop; else what the task threw. A task that
//           catches the stop and returns a value has its value returned.
// Example:  examples/coroutines/commands.cpp
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "plait/coroutines/run.hpp"
#include "plait/net/signal_set.hpp"

namespace plait::net {

// The program was asked to end, and did.
class interrupted : public cancelled_error {
 public:
  explicit interrupted(int signal)
      : cancelled_error("stopped by signal " + std::to_string(signal)), signal_(signal) {}
  int signal() const noexcept { return signal_; }
  // What a shell reports for a program that the signal ended.
  int exit_code() const noexcept { return 128 + signal_; }

 private:
  int signal_;
};

namespace detail {

// SIGINT and SIGTERM, without those that this program was started to ignore.
std::optional<signal_set> ending_signals();
// Waits for one, lets go of them, and stops the main task.
task<> stop_at_signal(signal_set signals, any_future main, std::optional<int>& arrived);

template <class T>
task<T> until_signal(task<T> main, signal_set signals, std::optional<int>& arrived) {
  auto running = spawn(std::move(main));
  const auto watching = spawn(stop_at_signal(std::move(signals), running, arrived));
  const struct ends {  // the loop waits for it
    const any_future& watch;
    ~ends() { watch.cancel(); }
  } scope{watching};
  try {
    co_return co_await std::move(running);
  } catch (const cancelled_error&) {
    if (!arrived) throw;
  }
  throw interrupted(*arrived);
}

}  // namespace detail

template <class T>
T run_until_signal(task<T> main, event_loop_options options = {}) {
  std::optional<int> arrived;
  auto signals = detail::ending_signals();
  if (!signals) return run(std::move(main), options);
  return run(detail::until_signal(std::move(main), std::move(*signals), arrived), options);
}

}  // namespace plait::net

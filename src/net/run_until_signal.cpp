#include "plait/net/run_until_signal.hpp"

#include <signal.h>

namespace plait::net::detail {

namespace {

bool ignored(int signal) noexcept {
  struct sigaction present {};
  sigaction(signal, nullptr, &present);
  return present.sa_handler == SIG_IGN;
}

}  // namespace

std::optional<signal_set> ending_signals() {
  const bool interrupt = !ignored(SIGINT), terminate = !ignored(SIGTERM);
  if (interrupt && terminate) return signal_set(SIGINT, SIGTERM);
  if (interrupt || terminate) return signal_set(interrupt ? SIGINT : SIGTERM);
  return std::nullopt;
}

task<> stop_at_signal(signal_set signals, any_future main, std::optional<int>& arrived) {
  {
    signal_set once = std::move(signals);  // the second signal does what it did before us
    arrived = co_await once.next();
  }
  main.cancel();
}

}  // namespace plait::net::detail

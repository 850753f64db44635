#include "plait/net/run_until_signal.hpp"

#include <csignal>

namespace plait::net::detail {

signal_set ending_signals() { return signal_set(SIGINT, SIGTERM); }

task<> stop_at_signal(signal_set signals, any_future main, std::optional<int>& arrived) {
  {
    signal_set once = std::move(signals);  // the second signal does what it did before us
    arrived = co_await once.next();
  }
  main.cancel();
}

}  // namespace plait::net::detail

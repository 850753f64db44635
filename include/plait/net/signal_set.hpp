// plait/net/signal_set.hpp: signals of the operating system, awaited.
//
//   plait::net::signal_set hangups(SIGHUP);
//   for (;;) {
//     co_await hangups.next();
//     reload();
//   }
//
// While a set lives, its signals do nothing but arrive here; every set that has a signal gets it.
// Signals that arrive while one of the same number waits to be taken are one, as in the kernel.
// When the last set of a signal goes, what the signal did before comes back.
//
// Threads:  made and destroyed on any thread; belongs to the loop of its first next(), and must be
//           gone before that loop. One task at a time may wait. The signals may reach any thread.
// Stops:    a stopped next() takes no signal.
// Throws:   the constructor: std::invalid_argument for a number that no handler can have (SIGKILL,
//           SIGSTOP) or that means a fault of the program itself (SIGSEGV ...);
//           descriptors_exhausted.
// Cost:     one descriptor. A handler with SA_RESTART that writes to it: unlike signalfd, this needs
//           no signal blocked in every thread of the program.
// Fork:     in a child that was forked and runs no other program, the signals end or do what they
//           do by default. Children of subprocess.hpp are not concerned.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>

#include "plait/coroutines/task.hpp"
#include "plait/net/errors.hpp"

namespace plait::net {

namespace detail {
struct signal_inbox;
struct signal_inbox_closer {
  void operator()(signal_inbox* inbox) const noexcept;
};
}  // namespace detail

class signal_set {
 public:
  // Numbers such as SIGINT, of <csignal>.
  template <std::same_as<int>... More>
  explicit signal_set(int first, More... more) : signal_set(mask_of({first, more...})) {}
  signal_set(signal_set&&) noexcept = default;
  signal_set& operator=(signal_set&&) noexcept = default;
  ~signal_set() = default;

  // The number of a signal that has arrived; of several, the lowest.
  task<int> next();
  // The same, or nothing if none has arrived.
  std::optional<int> try_next() noexcept;

 private:
  explicit signal_set(std::uint64_t mask);
  static std::uint64_t mask_of(std::initializer_list<int> signals);
  std::unique_ptr<detail::signal_inbox, detail::signal_inbox_closer> inbox_;
};

}  // namespace plait::net

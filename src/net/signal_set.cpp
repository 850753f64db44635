#include "plait/net/signal_set.hpp"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>

#include "net/failures.hpp"
#include "net/owned_descriptor.hpp"
#include "plait/coroutines/readiness.hpp"

namespace plait::net {
namespace {

// The handler and the sets
// ------------------------
// A handler may run on any thread between any two instructions, so it takes no lock. Each set owns a
// slot of a list that only grows; slots are used again and never freed, so the list can always be
// walked. What a handler touches:
//   wanted    the set's signals, as bits; 0: the slot is free
//   arrived   those of them that have come and were not taken
//   fd        the set's eventfd
//   inside    how many handlers are between their look at `wanted` and their last use of `fd`
// A handler enters `inside` before it looks at `wanted`; a set that goes clears `wanted`, waits
// until nobody is inside, and closes its descriptor. A handler that interrupts the thread of that set
// itself runs to its end before the set goes on, so this wait is short and cannot be circular.
struct slot {
  std::atomic<std::uint64_t> wanted{0}, arrived{0};
  std::atomic<int> fd{-1}, inside{0};
  bool taken = false;  // under the mutex
  slot* next = nullptr;
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

std::atomic<slot*> slots{nullptr};
std::atomic<int> owner{0};  // the process whose sets these are: a forked child shares its eventfds

constexpr std::uint64_t bit(int signal) noexcept { return std::uint64_t{1} << (signal - 1); }

void notice(int signal) noexcept {
  const int saved = errno;
  if (getpid() != owner.load(std::memory_order_relaxed)) {
    ::signal(signal, SIG_DFL);
    raise(signal);  // comes when this handler has returned
    errno = saved;
    return;
  }
  for (slot* s = slots.load(std::memory_order_acquire); s != nullptr; s = s->next) {
    s->inside.fetch_add(1);
    if (s->wanted.load() & bit(signal)) {
      s->arrived.fetch_or(bit(signal));
      const std::uint64_t one = 1;
      [[maybe_unused]] const auto written = write(s->fd.load(), &one, sizeof one);
    }
    s->inside.fetch_sub(1);
  }
  errno = saved;
}

// How often each signal is wanted, and what it did before.
struct table {
  std::mutex mutex;
  int wanted[65] = {};
  struct sigaction before[65] = {};
};
table& the_table() {
  static auto* t = new table;  // sets may be static objects that go late
  return *t;
}

void install(table& t, int signal) {
  if (t.wanted[signal]++ != 0) return;
  struct sigaction action {};
  action.sa_handler = notice;
  action.sa_flags = SA_RESTART | SA_ONSTACK;
  sigfillset(&action.sa_mask);  // one handler at a time on a thread
  sigaction(signal, &action, &t.before[signal]);
}

void uninstall(table& t, int signal) noexcept {
  if (--t.wanted[signal] != 0) return;
  struct sigaction present {};
  sigaction(signal, nullptr, &present);
  // Somebody else has put a handler over ours: it is not ours to take away.
  if (present.sa_handler == notice) sigaction(signal, &t.before[signal], nullptr);
}

slot& take_slot() {
  for (slot* s = slots.load(std::memory_order_relaxed); s != nullptr; s = s->next)
    if (!s->taken) {
      s->taken = true;
      return *s;
    }
  auto* fresh = new slot;
  fresh->taken = true;
  fresh->next = slots.load(std::memory_order_relaxed);
  slots.store(fresh, std::memory_order_release);
  return *fresh;
}

template <class Do>
void for_each_signal(std::uint64_t mask, Do&& act) {
  for (int signal = 1; signal <= 64; ++signal)
    if (mask & bit(signal)) act(signal);
}

}  // namespace

namespace detail {

struct signal_inbox {
  explicit signal_inbox(std::uint64_t m) : mask(m), fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!fd) throw_out_of_descriptors(errno);
    auto& t = the_table();
    const std::scoped_lock lock(t.mutex);
    place = &take_slot();
    owner.store(getpid(), std::memory_order_relaxed);
    place->arrived.store(0);
    place->fd.store(fd.get());
    place->wanted.store(mask);
    for_each_signal(mask, [&](int signal) { install(t, signal); });
  }
  ~signal_inbox() {
    auto& t = the_table();
    const std::scoped_lock lock(t.mutex);
    for_each_signal(mask, [&](int signal) { uninstall(t, signal); });
    place->wanted.store(0);
    while (place->inside.load() != 0) std::this_thread::yield();
    place->fd.store(-1);
    place->taken = false;
  }
  signal_inbox(const signal_inbox&) = delete;
  signal_inbox& operator=(const signal_inbox&) = delete;

  std::optional<int> take() noexcept {
    const std::uint64_t arrived = place->arrived.load();
    if (arrived == 0) return std::nullopt;
    const int signal = __builtin_ctzll(arrived) + 1;
    place->arrived.fetch_and(~bit(signal));
    return signal;
  }
  // Before a wait: what has been told by the descriptor is forgotten, then looked at once more.
  void drain() noexcept {
    std::uint64_t count = 0;
    while (read(fd.get(), &count, sizeof count) == -1 && errno == EINTR) {
    }
  }

  const std::uint64_t mask;
  owned_descriptor fd;
  slot* place = nullptr;
  std::optional<plait::detail::readiness> ready;  // gone before the descriptor is
};

void signal_inbox_closer::operator()(signal_inbox* inbox) const noexcept { delete inbox; }

}  // namespace detail

std::uint64_t signal_set::mask_of(std::initializer_list<int> signals) {
  std::uint64_t mask = 0;
  for (const int signal : signals) {
    const bool possible =
        (signal >= 1 && signal < 32) || (signal >= SIGRTMIN && signal <= SIGRTMAX && signal <= 64);
    if (!possible)
      throw std::invalid_argument("signal_set: there is no signal " + std::to_string(signal));
    for (const int refused : {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL})
      if (signal == refused)
        throw std::invalid_argument("signal_set: signal " + std::to_string(signal) +
                                    " cannot be waited for");
    mask |= bit(signal);
  }
  return mask;
}

signal_set::signal_set(std::uint64_t mask) : inbox_(new detail::signal_inbox(mask)) {}

std::optional<int> signal_set::try_next() noexcept { return inbox_->take(); }

task<int> signal_set::next() {
  auto& inbox = *inbox_;
  if (!inbox.ready) inbox.ready.emplace(inbox.fd.get());
  for (;;) {
    co_await inbox.ready->readable();
    if (const auto signal = inbox.take()) co_return *signal;
    inbox.ready->not_readable();
    inbox.drain();
    if (const auto signal = inbox.take()) co_return *signal;
  }
}

}  // namespace plait::net

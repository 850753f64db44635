#include "coroutines/poller.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace plait::detail {

poller::poller() : wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (wake_fd_ == -1)
    throw std::system_error(errno, std::generic_category(), "event loop: eventfd");
}

poller::~poller() { close(wake_fd_); }

std::unique_ptr<poller> poller::open(poller_kind wanted) {
  if (wanted == poller_kind::automatic) {
    const std::string_view named = std::getenv("PLAIT_POLLER") ? std::getenv("PLAIT_POLLER") : "";
    if (named == "io_uring") {
      wanted = poller_kind::io_uring;
    } else if (!named.empty() && named != "epoll") {
      throw std::invalid_argument("PLAIT_POLLER is \"" + std::string(named) +
                                  "\": it may be epoll or io_uring");
    }
  }
  if (wanted == poller_kind::io_uring)
    if (auto ring = open_uring_poller()) return ring;
  return open_epoll_poller();
}

void poller::throw_cannot_watch(int error) {
  throw std::system_error(error, std::generic_category(),
                          "event loop: cannot watch the descriptor");
}

void poller::report(readiness& r, unsigned mask) noexcept {
  if (mask & (POLLRDHUP | POLLHUP | POLLERR)) r.hung_up_ = true;
  if (mask & (POLLIN | POLLRDHUP | POLLHUP | POLLERR)) r.in_.mark();
  if (mask & (POLLOUT | POLLHUP | POLLERR)) r.out_.mark();
}

void poller::wake(int wake_fd) noexcept {
  const std::uint64_t one = 1;
  while (write(wake_fd, &one, sizeof one) == -1 && errno == EINTR) {
  }
}

void poller::await_wake() noexcept {
  pollfd p{.fd = wake_fd_, .events = POLLIN, .revents = 0};
  while (poll(&p, 1, -1) != 1) {
  }
  drain_wake();
}

bool poller::drain_wake() noexcept {
  std::uint64_t count = 0;
  ssize_t got = 0;
  do got = read(wake_fd_, &count, sizeof count);
  while (got == -1 && errno == EINTR);
  return got == sizeof count;
}

}  // namespace plait::detail

#include "coroutines/poller.hpp"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

namespace plait::detail {
namespace {

[[noreturn]] void throw_errno(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

poller::poller() : epoll_fd_(epoll_create1(EPOLL_CLOEXEC)), wake_fd_(-1) {
  if (epoll_fd_ == -1) throw_errno("event loop: epoll_create1");
  wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
  if (wake_fd_ == -1 || epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, wake_fd_, &event) == -1) {
    const int error = errno;
    if (wake_fd_ != -1) close(wake_fd_);
    close(epoll_fd_);
    errno = error;
    throw_errno("event loop: eventfd");
  }
}

poller::~poller() {
  close(wake_fd_);
  close(epoll_fd_);
}

void poller::add(readiness& r) {
  epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.ptr = &r}};
  if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, r.fd(), &event) == -1)
    throw_errno("event loop: cannot watch the descriptor");
}

void poller::remove(readiness& r) noexcept {
  epoll_event unused{};
  epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, r.fd(), &unused);
}

bool poller::wait(duration longest) noexcept {
  epoll_event events[256];
  int n = 0;
  if (longest == duration::zero()) {
    n = epoll_wait(epoll_fd_, events, 256, 0);
  } else if (longest == duration::max()) {
    n = epoll_wait(epoll_fd_, events, 256, -1);
  } else {
    const timespec span{.tv_sec = longest.count() / 1'000'000'000,
                        .tv_nsec = longest.count() % 1'000'000'000};
    n = epoll_pwait2(epoll_fd_, events, 256, &span, nullptr);
    if (n == -1 && errno == ENOSYS) {  // before Linux 5.11: whole milliseconds, rounded up
      const auto ms = std::min<std::int64_t>((longest.count() + 999'999) / 1'000'000, INT32_MAX);
      n = epoll_wait(epoll_fd_, events, 256, static_cast<int>(ms));
    }
  }
  bool woken = false;
  for (int i = 0; i < n; ++i) {
    const auto mask = events[i].events;
    auto* r = static_cast<readiness*>(events[i].data.ptr);
    if (r == nullptr) {
      woken = true;
      drain_wake();
      continue;
    }
    if (mask & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) r->hung_up_ = true;
    if (mask & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) r->in_.mark();
    if (mask & (EPOLLOUT | EPOLLHUP | EPOLLERR)) r->out_.mark();
  }
  return woken;
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

void poller::drain_wake() noexcept {
  std::uint64_t count = 0;
  while (read(wake_fd_, &count, sizeof count) == -1 && errno == EINTR) {
  }
}

}  // namespace plait::detail

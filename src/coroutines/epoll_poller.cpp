#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <system_error>

#include "coroutines/poller.hpp"

namespace plait::detail {
namespace {

static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLRDHUP == POLLRDHUP &&
              EPOLLHUP == POLLHUP && EPOLLERR == POLLERR);

[[noreturn]] void throw_errno(int error, const char* what) {
  throw std::system_error(error, std::generic_category(), what);
}

// One epoll_ctl a descriptor, none an operation.
class epoll_poller final : public poller {
 public:
  epoll_poller() : epoll_fd_(epoll_create1(EPOLL_CLOEXEC)) {
    if (epoll_fd_ == -1) throw_errno(errno, "event loop: epoll_create1");
    epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
    if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, wake_fd(), &event) == -1) {
      const int error = errno;
      close(epoll_fd_);
      throw_errno(error, "event loop: epoll_ctl");
    }
  }
  ~epoll_poller() override { close(epoll_fd_); }
  poller_kind kind() const noexcept override { return poller_kind::epoll; }

  void add(readiness& r) override {
    epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.ptr = &r}};
    if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, r.fd(), &event) == -1) throw_cannot_watch(errno);
    set_watched(r);
  }
  void watch(readiness&) noexcept override {}
  void remove(readiness& r) noexcept override {
    epoll_event unused{};
    epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, r.fd(), &unused);
  }
  void begin(io_operation&) noexcept override {}
  void cancel(io_operation&) noexcept override {}
  bool wait(duration longest) noexcept override;

 private:
  int epoll_fd_;
};

bool epoll_poller::wait(duration longest) noexcept {
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
    if (auto* r = static_cast<readiness*>(events[i].data.ptr); r != nullptr) {
      report(*r, events[i].events);
    } else {
      woken = drain_wake();
    }
  }
  return woken;
}

}  // namespace

std::unique_ptr<poller> open_epoll_poller() { return std::make_unique<epoll_poller>(); }

}  // namespace plait::detail

#include "plait/net/tcp_options.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <limits>

#include "net/socket_options.hpp"

namespace plait::net {
namespace {

// What the kernel takes: 1 to 32767.
int seconds(duration span) noexcept {
  const auto whole = std::chrono::ceil<std::chrono::seconds>(
      std::clamp<duration>(span, std::chrono::seconds(1), std::chrono::seconds(32767)));
  return static_cast<int>(whole.count());
}

int bytes(std::size_t n) noexcept {
  return static_cast<int>(
      std::min<std::size_t>(n, static_cast<std::size_t>(std::numeric_limits<int>::max() / 2)));
}

}  // namespace

void set_option(int fd, int level, int option, int value) noexcept {
  setsockopt(fd, level, option, &value, sizeof value);
}

void apply(int fd, const tcp_options& options) noexcept {
  if (options.no_delay) set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (options.keepalive) {
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds(options.keepalive->idle));
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, seconds(options.keepalive->interval));
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, std::clamp(options.keepalive->probes, 1, 127));
  }
  if (options.user_timeout > duration::zero()) {
    const auto whole = std::chrono::ceil<std::chrono::milliseconds>(
        std::min<duration>(options.user_timeout, std::chrono::hours(24)));
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(whole.count()));
  }
  if (options.receive_buffer_bytes != 0)
    set_option(fd, SOL_SOCKET, SO_RCVBUF, bytes(options.receive_buffer_bytes));
  if (options.send_buffer_bytes != 0)
    set_option(fd, SOL_SOCKET, SO_SNDBUF, bytes(options.send_buffer_bytes));
}

}  // namespace plait::net

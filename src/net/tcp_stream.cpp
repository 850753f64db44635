#include "plait/net/tcp_stream.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "net/failures.hpp"
#include "net/happy_eyeballs.hpp"
#include "net/socket_calls.hpp"
#include "net/socket_options.hpp"
#include "plait/coroutines/io_operation.hpp"
#include "plait/net/resolve.hpp"

namespace plait::net {

using plait::detail::io_operation;

namespace {

int make_socket(const endpoint& to, const tcp_options& options) {
  const auto family = static_cast<const sockaddr*>(to.data())->sa_family;
  const int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd == -1) {
    if (out_of_descriptors(errno)) throw_out_of_descriptors(errno);
    throw_connect_error(errno, to.to_string());
  }
  apply(fd, options);
  return fd;
}

task<tcp_stream> connect_to_one_of(std::vector<endpoint> addresses, std::string whom,
                                   connect_options options) {
  const auto attempt = [options](endpoint to) { return tcp_stream::connect(to, options); };
  eyeballs<tcp_stream, decltype(attempt)> race(std::move(whom), options.attempt_delay, attempt);
  co_return co_await race.connect(std::move(addresses));
}

task<tcp_stream> connect_by_name(std::string host, std::uint16_t port, connect_options options) {
  auto addresses = co_await resolve(host, port);
  if (addresses.size() == 1) co_return co_await tcp_stream::connect(addresses.front(), options);
  co_return co_await connect_to_one_of(std::move(addresses), host + ":" + std::to_string(port),
                                       options);
}

}  // namespace

tcp_stream tcp_stream::adopt(int fd, const endpoint& peer) {
  return tcp_stream(std::make_unique<socket_type>(fd, peer));
}

task<tcp_stream> tcp_stream::connect(endpoint to, connect_options options) {
  const int fd = make_socket(to, options.socket);
  int code = 0;
  if (::connect(fd, static_cast<const sockaddr*>(to.data()), to.size()) == -1) code = errno;
  // The kernel goes on with an interrupted connect by itself.
  const bool under_way = code == EINPROGRESS || code == EINTR;
  if (code != 0 && !under_way) {
    ::close(fd);
    throw_connect_error(code, to.to_string());
  }
  tcp_stream stream = adopt(fd, to);
  if (under_way) {
    stream.socket().not_readable();  // so that nobody tries before the loop has heard of something
    stream.socket().not_writable();
    co_await stream.writable();
    code = pending_error(fd);
    if (code != 0) throw_connect_error(code, to.to_string());
  }
  co_return stream;
}

// What is an address already needs neither a look-up nor the frames for one.
task<tcp_stream> tcp_stream::connect(std::string host, std::uint16_t port,
                                     connect_options options) {
  if (const auto address = endpoint::parse(host, port)) return connect(*address, options);
  return connect_by_name(std::move(host), port, options);
}

plait::detail::readiness& tcp_stream::socket() const {
  if (socket_ == nullptr) throw_closed(EBADF, "using it", "this end");
  return *socket_->ready;
}

std::optional<std::size_t> tcp_stream::try_read(std::span<char> into) {
  return try_receive(socket(), into, [this] { return peer().to_string(); });
}

std::size_t tcp_stream::try_write(std::string_view bytes) {
  return try_send(socket(), bytes, [this] { return peer().to_string(); });
}

task<std::size_t> tcp_stream::read_some(std::span<char> into) {
  return receive_some(
      [this]() -> auto& { return socket(); }, into, [this] { return peer().to_string(); });
}

task<std::size_t> tcp_stream::write_some(std::string_view bytes) {
  return send_some(
      [this]() -> auto& { return socket(); }, bytes, [this] { return peer().to_string(); });
}

// In one frame: not made of write_some(), which would cost one more a piece.
task<> tcp_stream::write_all(std::string_view bytes) {
  if (auto& s = socket(); s.completes()) {
    while (!bytes.empty()) {
      const int sent = co_await io_operation::send(s, bytes.data(), bytes.size());
      if (sent < 0) throw_closed(-sent, "writing", peer().to_string());
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    co_return;
  }
  for (;;) {
    bytes.remove_prefix(try_write(bytes));
    if (bytes.empty()) co_return;
    co_await writable();
  }
}

task<> tcp_stream::shutdown_write() {
  if (shutdown(socket().fd(), SHUT_WR) == -1) throw_closed(errno, "ending it", peer().to_string());
  co_return;
}

void tcp_stream::reset() noexcept {
  if (socket_ == nullptr) return;
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  setsockopt(socket_->ready->fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  socket_.reset();
}

endpoint tcp_stream::local_endpoint() const {
  endpoint local;
  socklen_t size = endpoint::capacity;
  if (getsockname(socket().fd(), static_cast<sockaddr*>(local.data()), &size) == 0)
    local.resize(size);
  return local;
}

const endpoint& tcp_stream::peer() const {
  socket();  // throws if closed
  return socket_->peer;
}

}  // namespace plait::net

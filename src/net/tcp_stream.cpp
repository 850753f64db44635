#include "plait/net/tcp_stream.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <exception>

#include "net/failures.hpp"
#include "net/socket_calls.hpp"
#include "plait/coroutines/io_operation.hpp"
#include "plait/net/resolve.hpp"

namespace plait::net {

using plait::detail::io_operation;

namespace detail {

tcp_socket::tcp_socket(int fd, const endpoint& other_end) : peer(other_end) {
  try {
    ready.emplace(fd);
  } catch (...) {
    ::close(fd);
    throw;
  }
}

tcp_socket::~tcp_socket() {
  const int fd = ready->fd();
  ready.reset();
  ::close(fd);
}

}  // namespace detail

namespace {

int open_socket(const endpoint& to) {
  const auto family = static_cast<const sockaddr*>(to.data())->sa_family;
  const int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd == -1) {
    if (out_of_descriptors(errno)) throw_out_of_descriptors(errno);
    throw_connect_error(errno, to.to_string());
  }
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

}  // namespace

tcp_stream tcp_stream::adopt(int fd, const endpoint& peer) {
  return tcp_stream(std::make_unique<detail::tcp_socket>(fd, peer));
}

task<tcp_stream> tcp_stream::connect(endpoint to) {
  const int fd = open_socket(to);
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
    stream.socket().not_writable();
    co_await stream.writable();
    code = pending_error(fd);
    if (code != 0) throw_connect_error(code, to.to_string());
  }
  co_return stream;
}

task<tcp_stream> tcp_stream::connect(std::string host, std::uint16_t port) {
  const auto addresses = co_await resolve(std::move(host), port);
  std::exception_ptr last_failure;
  for (const endpoint& address : addresses) {
    try {
      co_return co_await connect(address);
    } catch (const connect_error&) {
      last_failure = std::current_exception();
    }
  }
  std::rethrow_exception(last_failure);
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

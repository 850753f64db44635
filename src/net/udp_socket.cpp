#include "plait/net/udp_socket.hpp"

#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "net/failures.hpp"
#include "net/owned_descriptor.hpp"
#include "plait/coroutines/readiness.hpp"
#include "plait/net/resolve.hpp"

namespace plait::net {
namespace detail {

struct datagram_socket {
  explicit datagram_socket(owned_descriptor d) noexcept : fd(std::move(d)) {}
  int get() const noexcept { return fd.get(); }
  owned_descriptor fd;
  endpoint peer;
  std::optional<plait::detail::readiness> ready;  // gone before the descriptor is
};

void datagram_socket_closer::operator()(datagram_socket* socket) const noexcept { delete socket; }

}  // namespace detail

namespace {

using detail::datagram_socket;

constexpr std::size_t batch = 64;  // datagrams a system call

const sockaddr* name_of(const endpoint& e) { return static_cast<const sockaddr*>(e.data()); }
sockaddr* name_of(endpoint& e) { return static_cast<sockaddr*>(e.data()); }

[[noreturn]] void throw_send_error(int code, const endpoint& to, std::size_t bytes) {
  const std::error_code kernel(code, std::generic_category());
  std::string text = "cannot send " + std::to_string(bytes) + " bytes" +
                     (to.empty() ? "" : " to " + to.to_string()) + ": " + kernel.message();
  if (code == EMSGSIZE) text += " (a datagram over IPv4 has at most 65507 bytes)";
  if (code == EDESTADDRREQ) text += " (the socket is not connected: use send_to)";
  throw send_error(text, kernel);
}

datagram_socket* open_socket(const endpoint& address, const udp_options& options) {
  owned_descriptor fd(
      socket(name_of(address)->sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) {
    if (out_of_descriptors(errno)) throw_out_of_descriptors(errno);
    throw_listen_error(errno, address.to_string());
  }
  const auto set = [&](int option, int value) {
    setsockopt(fd.get(), SOL_SOCKET, option, &value, sizeof value);
  };
  const auto capped = [](std::size_t bytes) {
    return static_cast<int>(std::min<std::size_t>(bytes, INT32_MAX / 2));
  };
  if (options.receive_buffer_bytes != 0) set(SO_RCVBUF, capped(options.receive_buffer_bytes));
  if (options.send_buffer_bytes != 0) set(SO_SNDBUF, capped(options.send_buffer_bytes));
  if (options.port == udp_options::port_use::shared) {
    set(SO_REUSEADDR, 1);
    set(SO_REUSEPORT, 1);
  }
  return new datagram_socket(std::move(fd));
}

// A peer's machine has answered an earlier datagram that nobody listens there.
bool tells_of_the_peer(int code) { return code == ECONNREFUSED || code == EHOSTUNREACH; }

unsigned index_of(const std::string& interface_name) {
  const unsigned index = interface_name.empty() ? 0 : if_nametoindex(interface_name.c_str());
  if (index == 0 && !interface_name.empty())
    throw listen_error("there is no network interface " + interface_name + ": see ip link",
                       {errno, std::generic_category()});
  return index;
}

}  // namespace

udp_socket udp_socket::bind(std::string_view address, std::uint16_t port, udp_options options) {
  const auto wanted = endpoint::parse(address, port);
  if (!wanted)
    throw listen_error("cannot receive at " + std::string(address) +
                           ": not a numeric address such as 127.0.0.1, 0.0.0.0 or ::1",
                       std::make_error_code(std::errc::invalid_argument));
  udp_socket bound(open_socket(*wanted, options));
  if (::bind(bound.socket_->get(), name_of(*wanted), wanted->size()) == -1)
    throw_listen_error(errno, wanted->to_string());
  return bound;
}

udp_socket udp_socket::connect(const endpoint& peer, udp_options options) {
  udp_socket connected(open_socket(peer, options));
  if (::connect(connected.socket_->get(), name_of(peer), peer.size()) == -1)
    throw_connect_error(errno, peer.to_string());
  connected.socket_->peer = peer;
  return connected;
}

task<udp_socket> udp_socket::connect(std::string host, std::uint16_t port, udp_options options) {
  const auto addresses = co_await resolve(std::move(host), port);
  co_return connect(addresses.front(), options);
}

datagram_socket& udp_socket::opened() const {
  if (socket_ == nullptr) throw_closed(EBADF, "using it", "this end");
  return *socket_;
}

datagram_socket& udp_socket::on_loop() const {
  auto& s = opened();
  if (!s.ready) s.ready.emplace(s.get());
  return s;
}

std::optional<received> udp_socket::try_receive_from(std::span<char> into) {
  auto& s = opened();
  for (;;) {
    received datagram;
    iovec bytes{into.data(), into.size()};
    msghdr message{};
    message.msg_name = datagram.peer.data();
    message.msg_namelen = endpoint::capacity;
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    const ssize_t got = recvmsg(s.get(), &message, 0);
    if (got >= 0) {
      datagram.size = static_cast<std::size_t>(got);
      datagram.peer.resize(message.msg_namelen);
      datagram.truncated = (message.msg_flags & MSG_TRUNC) != 0;
      return datagram;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (s.ready) s.ready->not_readable();
      return std::nullopt;
    }
    if (tells_of_the_peer(errno)) throw_connect_error(errno, s.peer.to_string());
    if (errno != EINTR) throw_closed(errno, "receiving", "the network");
  }
}

bool udp_socket::try_send_to(std::string_view bytes, const endpoint& to) {
  auto& s = opened();
  for (;;) {
    const ssize_t sent = ::sendto(s.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL,
                                  to.empty() ? nullptr : name_of(to), to.size());
    if (sent >= 0) return true;
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (s.ready) s.ready->not_writable();
      return false;
    }
    if (tells_of_the_peer(errno))
      throw_connect_error(errno, (to.empty() ? s.peer : to).to_string());
    if (errno != EINTR) throw_send_error(errno, to, bytes.size());
  }
}

task<received> udp_socket::receive_from(std::span<char> into) {
  for (;;) {
    co_await on_loop().ready->readable();
    if (auto datagram = try_receive_from(into)) co_return *datagram;
  }
}

task<std::size_t> udp_socket::receive(std::span<char> into) {
  co_return (co_await receive_from(into)).size;
}

task<> udp_socket::send_to(std::string_view bytes, endpoint to) {
  do {
    co_await on_loop().ready->writable();
  } while (!try_send_to(bytes, to));
}

// Nothing: none has arrived.
std::optional<std::size_t> udp_socket::try_receive_many(std::span<receive_slot> slots) {
  auto& s = opened();
  mmsghdr messages[batch];
  iovec bytes[batch];
  for (std::size_t i = 0; i < slots.size(); ++i) {
    bytes[i] = {slots[i].buffer.data(), slots[i].buffer.size()};
    messages[i] = {};
    messages[i].msg_hdr.msg_name = slots[i].datagram.peer.data();
    messages[i].msg_hdr.msg_namelen = endpoint::capacity;
    messages[i].msg_hdr.msg_iov = &bytes[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  int got = 0;
  do got = recvmmsg(s.get(), messages, static_cast<unsigned>(slots.size()), 0, nullptr);
  while (got == -1 && errno == EINTR);
  if (got == -1) {
    if (tells_of_the_peer(errno)) throw_connect_error(errno, s.peer.to_string());
    if (errno != EAGAIN && errno != EWOULDBLOCK) throw_closed(errno, "receiving", "the network");
    s.ready->not_readable();
    return std::nullopt;
  }
  const auto n = static_cast<std::size_t>(got);
  for (std::size_t i = 0; i < n; ++i) {
    received& datagram = slots[i].datagram;
    datagram.size = messages[i].msg_len;
    datagram.peer.resize(messages[i].msg_hdr.msg_namelen);
    datagram.truncated = (messages[i].msg_hdr.msg_flags & MSG_TRUNC) != 0;
  }
  return n;
}

task<std::size_t> udp_socket::receive_many(std::span<receive_slot> slots) {
  slots = slots.first(std::min(slots.size(), batch));
  if (slots.empty()) co_return 0;
  for (;;) {
    co_await on_loop().ready->readable();
    if (const auto got = try_receive_many(slots)) co_return *got;
  }
}

// How many the kernel took.
std::size_t udp_socket::try_send_many(std::span<const outgoing_datagram> datagrams) {
  auto& s = opened();
  mmsghdr messages[batch];
  iovec bytes[batch];
  const std::size_t n = std::min(datagrams.size(), batch);
  for (std::size_t i = 0; i < n; ++i) {
    const outgoing_datagram& d = datagrams[i];
    bytes[i] = {const_cast<char*>(d.bytes.data()), d.bytes.size()};
    messages[i] = {};
    messages[i].msg_hdr.msg_name = d.to.empty() ? nullptr : const_cast<void*>(d.to.data());
    messages[i].msg_hdr.msg_namelen = d.to.size();
    messages[i].msg_hdr.msg_iov = &bytes[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  int sent = 0;
  do sent = sendmmsg(s.get(), messages, static_cast<unsigned>(n), MSG_NOSIGNAL);
  while (sent == -1 && errno == EINTR);
  if (sent >= 0) return static_cast<std::size_t>(sent);
  const outgoing_datagram& first = datagrams.front();
  if (tells_of_the_peer(errno))
    throw_connect_error(errno, (first.to.empty() ? s.peer : first.to).to_string());
  if (errno != EAGAIN && errno != EWOULDBLOCK)
    throw_send_error(errno, first.to, first.bytes.size());
  s.ready->not_writable();
  return 0;
}

task<> udp_socket::send_many(std::span<const outgoing_datagram> datagrams) {
  while (!datagrams.empty()) {
    co_await on_loop().ready->writable();
    datagrams = datagrams.subspan(try_send_many(datagrams));
  }
}

void udp_socket::change_membership(int option_v4, int option_v6, std::string_view group,
                                   const std::string& interface_name) {
  const int fd = opened().get();
  const auto address = endpoint::parse(group, 0);
  if (!address)
    throw listen_error(std::string(group) + " is not the numeric address of a group",
                       std::make_error_code(std::errc::invalid_argument));
  const unsigned index = index_of(interface_name);
  int code = 0;
  if (name_of(*address)->sa_family == AF_INET) {
    ip_mreqn request{};
    sockaddr_in name;
    std::memcpy(&name, address->data(), sizeof name);
    request.imr_multiaddr = name.sin_addr;
    request.imr_ifindex = static_cast<int>(index);
    code = setsockopt(fd, IPPROTO_IP, option_v4, &request, sizeof request);
  } else {
    ipv6_mreq request{};
    sockaddr_in6 name;
    std::memcpy(&name, address->data(), sizeof name);
    request.ipv6mr_multiaddr = name.sin6_addr;
    request.ipv6mr_interface = index;
    code = setsockopt(fd, IPPROTO_IPV6, option_v6, &request, sizeof request);
  }
  if (code == -1) {
    const std::error_code kernel(errno, std::generic_category());
    throw listen_error("cannot join or leave the group " + std::string(group) + ": " +
                           kernel.message() + ": is it a multicast address, and is there a route?",
                       kernel);
  }
}

void udp_socket::join(std::string_view group, const std::string& interface_name) {
  change_membership(IP_ADD_MEMBERSHIP, IPV6_JOIN_GROUP, group, interface_name);
}
void udp_socket::leave(std::string_view group, const std::string& interface_name) {
  change_membership(IP_DROP_MEMBERSHIP, IPV6_LEAVE_GROUP, group, interface_name);
}

void udp_socket::send_groups_through(const std::string& interface_name) {
  const int fd = opened().get();
  const unsigned index = index_of(interface_name);
  const endpoint local = local_endpoint();
  int code = 0;
  if (name_of(local)->sa_family == AF_INET) {
    ip_mreqn request{};
    request.imr_ifindex = static_cast<int>(index);
    code = setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof request);
  } else {
    code = setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof index);
  }
  if (code == -1) throw_listen_error(errno, "the interface " + interface_name);
}

endpoint udp_socket::local_endpoint() const {
  endpoint local;
  socklen_t size = endpoint::capacity;
  if (getsockname(opened().get(), name_of(local), &size) == 0) local.resize(size);
  return local;
}

endpoint udp_socket::peer() const { return opened().peer; }

}  // namespace plait::net

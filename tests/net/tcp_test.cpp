#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <string>
#include <vector>

#include "plait/coroutines.hpp"
#include "plait/net.hpp"

namespace {

using namespace std::chrono_literals;
using plait::net::tcp_listener;
using plait::net::tcp_stream;

tcp_listener local() { return tcp_listener::bind("127.0.0.1", 0); }

// Both ends of a connection.
struct pair_of_streams {
  tcp_stream client, server;
};
plait::task<pair_of_streams> connected(tcp_listener& listener) {
  auto client = co_await tcp_stream::connect("127.0.0.1", listener.port());
  auto server = co_await listener.accept();
  co_return pair_of_streams{std::move(client), std::move(server)};
}

plait::task<std::string> read_to_end(tcp_stream& from) {
  std::string all;
  std::array<char, 1000> buffer{};
  while (const std::size_t got = co_await from.read_some(buffer)) all.append(buffer.data(), got);
  co_return all;
}

plait::task<> echo(tcp_listener& listener) {
  auto stream = co_await listener.accept();
  const std::string all = co_await read_to_end(stream);
  co_await stream.write_all(all);
}

plait::task<> send_and_end(tcp_stream& to, std::string_view bytes) {
  co_await to.write_all(bytes);
  co_await to.shutdown_write();
}

TEST(Tcp, BytesGoThereAndBackPastEveryBuffer) {
  auto body = []() -> plait::task<> {
    auto listener = local();
    auto echoing = plait::spawn(echo(listener));
    auto stream = co_await tcp_stream::connect("127.0.0.1", listener.port());
    std::string sent(20'000'000, '\0');
    for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<char>(i * 7919 >> 8);
    co_await send_and_end(stream, sent);
    const std::string back = co_await read_to_end(stream);
    EXPECT_TRUE(back == sent) << back.size() << " bytes came back";
    co_await echoing;
  };
  plait::run(body());
}

TEST(Tcp, EndpointsAgree) {
  auto body = []() -> plait::task<> {
    auto listener = local();
    auto both = co_await connected(listener);
    EXPECT_EQ(both.client.peer(), listener.local_endpoint());
    EXPECT_EQ(both.server.peer(), both.client.local_endpoint());
    EXPECT_EQ(both.server.peer().address(), "127.0.0.1");
  };
  plait::run(body());
}

TEST(Tcp, SpeaksIPv6WhereTheMachineDoes) {
  try {
    tcp_listener::bind("::1", 0);
  } catch (const plait::net::listen_error&) {
    GTEST_SKIP() << "this machine has no IPv6 loopback";
  }
  auto body = []() -> plait::task<> {
    auto listener = tcp_listener::bind("::1", 0);
    auto stream = co_await tcp_stream::connect("::1", listener.port());
    EXPECT_EQ(stream.peer().address(), "::1");
    auto other = co_await listener.accept();
    EXPECT_EQ(other.peer(), stream.local_endpoint());
  };
  plait::run(body());
}

TEST(Tcp, NothingThereYetIsNotTheEnd) {
  auto body = []() -> plait::task<> {
    auto listener = local();
    auto both = co_await connected(listener);
    std::array<char, 8> buffer{};
    EXPECT_EQ(both.server.try_read(buffer), std::nullopt);
    EXPECT_TRUE(both.server.silent());
    EXPECT_EQ(both.client.try_write("abc"), 3u);
    const std::size_t got = co_await both.server.read_some(buffer);
    EXPECT_EQ(std::string_view(buffer.data(), got), "abc");
    both.client.close();
    const std::size_t at_end = co_await both.server.read_some(buffer);
    EXPECT_EQ(at_end, 0u);
  };
  plait::run(body());
}

// The end arrives with the last bytes: one edge announces both.
TEST(Tcp, TheEndBehindAShortReadIsNotLost) {
  auto body = []() -> plait::task<> {
    auto listener = local();
    auto both = co_await connected(listener);
    std::array<char, 100> buffer{};
    EXPECT_EQ(both.server.try_read(buffer), std::nullopt);
    both.client.try_write("last words");
    both.client.close();
    const std::size_t words = co_await both.server.read_some(buffer);
    EXPECT_EQ(words, 10u);
    const std::size_t end = co_await both.server.read_some(buffer);
    EXPECT_EQ(end, 0u);
  };
  plait::run(body());
}

TEST(Tcp, RefusedSaysByWhomAndWhatToLookAt) {
  auto body = []() -> plait::task<> {
    auto listener = local();
    const auto port = listener.port();
    listener.close();
    try {
      co_await tcp_stream::connect("127.0.0.1", port);
      ADD_FAILURE() << "nobody listens there";
    } catch (const plait::net::connect_error& error) {
      EXPECT_EQ(error.code(), std::errc::connection_refused);
      EXPECT_EQ(error.what(), "connection refused by 127.0.0.1:" + std::to_string(port) +
                                  ": is the server running?");
    }
  };
  plait::run(body());
}

TEST(Tcp, WritingToOneWhoHasGoneThrowsConnectionClosed) {
  auto body = []() -> plait::task<> {
    auto listener = local();
    auto both = co_await connected(listener);
    both.server.close();
    const std::string much(1'000'000, 'x');
    try {
      for (;;) co_await both.client.write_all(much);
    } catch (const plait::net::connection_closed& error) {
      EXPECT_NE(std::string(error.what()).find("127.0.0.1:"), std::string::npos);
    }
  };
  plait::run(body());
}

// An option of the socket between these two ports, found among all descriptors.
int option_of(const tcp_stream& stream, int level, int option) {
  for (int fd = 3; fd < 1024; ++fd) {
    plait::net::endpoint local, peer;
    socklen_t local_size = plait::net::endpoint::capacity, peer_size = local_size;
    if (getsockname(fd, static_cast<sockaddr*>(local.data()), &local_size) != 0 ||
        getpeername(fd, static_cast<sockaddr*>(peer.data()), &peer_size) != 0)
      continue;
    local.resize(local_size);
    peer.resize(peer_size);
    if (!(local == stream.local_endpoint()) || !(peer == stream.peer())) continue;
    int value = 0;
    socklen_t size = sizeof value;
    EXPECT_EQ(getsockopt(fd, level, option, &value, &size), 0);
    return value;
  }
  ADD_FAILURE() << "no such socket";
  return -1;
}

TEST(TcpOptions, SmallWritesLeaveAtOnceUnlessToldOtherwise) {
  plait::run([]() -> plait::task<> {
    auto listener = local();
    auto both = co_await connected(listener);
    for (const tcp_stream* end : {&both.client, &both.server}) {
      EXPECT_EQ(option_of(*end, IPPROTO_TCP, TCP_NODELAY), 1);
      EXPECT_EQ(option_of(*end, SOL_SOCKET, SO_KEEPALIVE), 0);
    }
    auto lazy =
        co_await tcp_stream::connect("127.0.0.1", listener.port(), {.socket = {.no_delay = false}});
    EXPECT_EQ(option_of(lazy, IPPROTO_TCP, TCP_NODELAY), 0);
  }());
}

TEST(TcpOptions, ReachTheKernelAtBothEnds) {
  plait::run([]() -> plait::task<> {
    const plait::net::tcp_options wanted{
        .keepalive = plait::net::keepalive_options{.idle = 20s, .interval = 1500ms, .probes = 4},
        .receive_buffer_bytes = 30'000,
        .send_buffer_bytes = 20'000};
    auto listener = tcp_listener::bind("127.0.0.1", 0, {.connections = wanted});
    auto client = co_await tcp_stream::connect("127.0.0.1", listener.port(), {.socket = wanted});
    auto server = co_await listener.accept();
    for (const tcp_stream* end : {&client, &server}) {
      EXPECT_EQ(option_of(*end, SOL_SOCKET, SO_KEEPALIVE), 1);
      EXPECT_EQ(option_of(*end, IPPROTO_TCP, TCP_KEEPIDLE), 20);
      EXPECT_EQ(option_of(*end, IPPROTO_TCP, TCP_KEEPINTVL), 2) << "rounded up to seconds";
      EXPECT_EQ(option_of(*end, IPPROTO_TCP, TCP_KEEPCNT), 4);
      EXPECT_EQ(option_of(*end, SOL_SOCKET, SO_RCVBUF), 60'000) << "the kernel doubles it";
      EXPECT_EQ(option_of(*end, SOL_SOCKET, SO_SNDBUF), 40'000);
    }
  }());
}

TEST(TcpOptions, AnIPv6ListenerTakesIPv4UnlessToldOtherwise) {
  try {
    tcp_listener::bind("::1", 0);
  } catch (const plait::net::listen_error&) {
    GTEST_SKIP() << "this machine has no IPv6 loopback";
  }
  plait::run([]() -> plait::task<> {
    auto both = tcp_listener::bind("::", 0);
    auto client = co_await tcp_stream::connect("127.0.0.1", both.port());
    auto server = co_await both.accept();
    EXPECT_EQ(server.peer().address(), "::ffff:127.0.0.1");
    auto six = tcp_listener::bind("::", 0, {.ipv6_only = true});
    bool refused = false;
    try {
      co_await tcp_stream::connect("127.0.0.1", six.port());
    } catch (const plait::net::connect_error&) {
      refused = true;
    }
    EXPECT_TRUE(refused);
  }());
}

TEST(Tcp, AResetIsAnErrorAtTheOtherEnd) {
  plait::run([]() -> plait::task<> {
    auto listener = local();
    auto both = co_await connected(listener);
    both.client.reset();
    EXPECT_FALSE(both.client.is_open());
    both.client.reset();  // once more is nothing
    std::array<char, 8> buffer{};
    bool reset = false;
    try {
      co_await both.server.read_some(buffer);
    } catch (const plait::net::connection_closed& error) {
      reset = error.code() == std::errc::connection_reset;
    }
    EXPECT_TRUE(reset);
  }());
}

TEST(Listener, AClosedOneThrows) {
  plait::run([]() -> plait::task<> {
    auto listener = local();
    listener.close();
    bool thrown = false;
    try {
      co_await listener.accept();
    } catch (const plait::net::listen_error&) {
      thrown = true;
    }
    EXPECT_TRUE(thrown);
  }());
}

TEST(Tcp, ListenersThatShareAPortEachGetConnections) {
  plait::run([]() -> plait::task<> {
    auto first = tcp_listener::bind("127.0.0.1", 0, {.reuse_port = true});
    EXPECT_THROW(tcp_listener::bind("127.0.0.1", first.port()), plait::net::listen_error);
    auto second = tcp_listener::bind("127.0.0.1", first.port(), {.reuse_port = true});
    EXPECT_EQ(second.port(), first.port());
    // By a hash of the addresses, so one of them may have to wait for its first.
    auto one = plait::spawn(first.accept()), other = plait::spawn(second.accept());
    std::vector<tcp_stream> clients;
    while ((!one.done() || !other.done()) && clients.size() < 1'000) {
      clients.push_back(co_await tcp_stream::connect("127.0.0.1", first.port()));
      co_await plait::sleep(0s);
    }
    EXPECT_TRUE(one.done() && other.done());
  }());
}

TEST(Tcp, AStoppedReadLeavesTheStreamUsable) {
  auto body = []() -> plait::task<> {
    auto listener = local();
    auto both = co_await connected(listener);
    std::array<char, 8> buffer{};
    try {
      co_await plait::timeout(1ms, both.server.read_some(buffer));
      ADD_FAILURE() << "there was nothing to read";
    } catch (const plait::timeout_error&) {
    }
    co_await both.client.write_all("later");
    const std::size_t got = co_await both.server.read_some(buffer);
    EXPECT_EQ(got, 5u);
  };
  plait::run(body());
}

TEST(Tcp, AStoppedAcceptLeavesTheListenerUsable) {
  auto body = []() -> plait::task<> {
    auto listener = local();
    try {
      co_await plait::timeout(1ms, listener.accept());
      ADD_FAILURE() << "nobody connected";
    } catch (const plait::timeout_error&) {
    }
    auto both = co_await connected(listener);
    EXPECT_TRUE(both.server.is_open());
  };
  plait::run(body());
}

TEST(Tcp, AClosedStreamThrows) {
  tcp_stream closed;
  EXPECT_FALSE(closed.is_open());
  EXPECT_THROW(closed.try_write("x"), plait::net::connection_closed);
  EXPECT_THROW(closed.peer(), plait::net::connection_closed);
}

TEST(Listener, SaysWhyItCannotListen) {
  const auto taken = local();
  try {
    tcp_listener::bind("127.0.0.1", taken.port());
    ADD_FAILURE() << "the port is taken";
  } catch (const plait::net::listen_error& error) {
    EXPECT_EQ(error.code(), std::errc::address_in_use);
    EXPECT_NE(std::string(error.what()).find(std::to_string(taken.port())), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("another program"), std::string::npos);
  }
  EXPECT_THROW(tcp_listener::bind("localhost", 0), plait::net::listen_error);
  EXPECT_THROW(tcp_listener::bind("192.0.2.1", 0), plait::net::listen_error);
}

}  // namespace

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <string>
#include <vector>

#include "descriptor_count.hpp"
#include "plait/coroutines.hpp"
#include "plait/net.hpp"

namespace {

using namespace std::chrono_literals;
using plait::net::endpoint;
using plait::net::outgoing_datagram;
using plait::net::receive_slot;
using plait::net::udp_socket;

udp_socket local() { return udp_socket::bind("127.0.0.1", 0); }

std::string_view text(const std::array<char, 100>& buffer, std::size_t n) {
  return {buffer.data(), n};
}

TEST(Udp, ADatagramArrivesWholeWithItsSender) {
  auto body = []() -> plait::task<> {
    auto a = local(), b = local();
    std::array<char, 100> buffer{};
    auto receiving = plait::spawn(b.receive_from(buffer));
    co_await plait::sleep(0ms);
    co_await a.send_to("hello", b.local_endpoint());
    const auto got = co_await receiving;
    EXPECT_EQ(text(buffer, got.size), "hello");
    EXPECT_EQ(got.peer, a.local_endpoint());
    EXPECT_FALSE(got.truncated);
  };
  plait::run(body());
}

TEST(Udp, BoundariesAreKeptAndAnEmptyDatagramIsOneToo) {
  auto body = []() -> plait::task<> {
    auto a = local(), b = local();
    for (const std::string_view words : {"one", "", "three"})
      co_await a.send_to(words, b.local_endpoint());
    std::array<char, 100> buffer{};
    for (const std::string_view words : {"one", "", "three"}) {
      const auto got = co_await b.receive_from(buffer);
      EXPECT_EQ(text(buffer, got.size), words);
    }
    EXPECT_EQ(b.try_receive_from(buffer), std::nullopt);
  };
  plait::run(body());
}

TEST(Udp, TruncationIsTold) {
  auto body = []() -> plait::task<> {
    auto a = local(), b = local();
    co_await a.send_to("0123456789", b.local_endpoint());
    co_await a.send_to("next", b.local_endpoint());
    std::array<char, 4> buffer{};
    const auto cut = co_await b.receive_from(buffer);
    EXPECT_EQ(cut.size, 4u);
    EXPECT_TRUE(cut.truncated);
    const auto next = co_await b.receive_from(buffer);
    EXPECT_EQ(next.size, 4u);
    EXPECT_FALSE(next.truncated);
    EXPECT_EQ(std::string_view(buffer.data(), 4), "next");
  };
  plait::run(body());
}

TEST(Udp, AConnectedSocketHearsItsPeerOnly) {
  auto body = []() -> plait::task<> {
    auto server = local(), stranger = local();
    auto client = co_await udp_socket::connect("127.0.0.1", server.port());
    EXPECT_EQ(client.peer(), server.local_endpoint());
    co_await client.send("ping");
    std::array<char, 100> buffer{};
    const auto ping = co_await server.receive_from(buffer);
    EXPECT_EQ(text(buffer, ping.size), "ping");
    co_await stranger.send_to("noise", ping.peer);
    co_await server.send_to("pong", ping.peer);
    const std::size_t pong = co_await client.receive(buffer);
    EXPECT_EQ(text(buffer, pong), "pong");
  };
  plait::run(body());
}

TEST(Udp, AConnectedSocketIsToldThatNobodyIsThere) {
  auto body = []() -> plait::task<> {
    auto gone = local();
    const auto port = gone.port();
    gone.close();
    auto client = udp_socket::connect(*endpoint::parse("127.0.0.1", port));
    co_await client.send("anybody?");
    std::array<char, 100> buffer{};
    try {
      co_await client.receive(buffer);
      ADD_FAILURE() << "nobody is there";
    } catch (const plait::net::connect_error& error) {
      EXPECT_EQ(error.code(), std::errc::connection_refused);
    }
  };
  plait::run(body());
}

TEST(Udp, SaysWhatIsWrongWithADatagram) {
  auto body = []() -> plait::task<> {
    auto a = local();
    const std::string too_large(70'000, 'x');
    try {
      co_await a.send_to(too_large, a.local_endpoint());
      ADD_FAILURE() << "it is too large";
    } catch (const plait::net::send_error& error) {
      EXPECT_EQ(error.code(), std::errc::message_size);
      EXPECT_NE(std::string(error.what()).find("65507"), std::string::npos);
    }
    try {
      co_await a.send("to whom?");
      ADD_FAILURE() << "it is not connected";
    } catch (const plait::net::send_error& error) {
      EXPECT_EQ(error.code(), std::errc::destination_address_required);
    }
    const std::string largest(65'507, 'x');
    co_await a.send_to(largest, a.local_endpoint());
    std::vector<char> buffer(65'507);
    const auto got = co_await a.receive_from(buffer);
    EXPECT_EQ(got.size, largest.size());
  };
  plait::run(body());
}

TEST(Udp, ManyAtOnceInOrder) {
  auto body = []() -> plait::task<> {
    auto a = local(), b = local();
    std::vector<std::string> texts;
    for (int i = 0; i < 150; ++i) texts.push_back("datagram " + std::to_string(i));
    std::vector<outgoing_datagram> out;
    for (const auto& t : texts) out.push_back({.bytes = t, .to = b.local_endpoint()});
    co_await a.send_many(out);
    std::array<std::array<char, 100>, 100> buffers{};
    std::vector<receive_slot> slots;
    for (auto& buffer : buffers) slots.push_back({.buffer = buffer});
    for (std::size_t seen = 0; seen < texts.size();) {
      const std::size_t got = co_await b.receive_many(slots);
      for (std::size_t i = 0; i < got; ++i, ++seen) {
        EXPECT_EQ(text(buffers[i], slots[i].datagram.size), texts[seen]);
        EXPECT_EQ(slots[i].datagram.peer, a.local_endpoint());
      }
    }
    const std::size_t none = co_await b.receive_many({});
    EXPECT_EQ(none, 0u);
  };
  plait::run(body());
}

TEST(Udp, AStoppedReceiveTakesNothingAndLeavesTheSocketUsable) {
  auto body = []() -> plait::task<> {
    auto a = local(), b = local();
    std::array<char, 100> buffer{};
    bool timed_out = false;
    try {
      co_await plait::timeout(1ms, b.receive_from(buffer));
    } catch (const plait::timeout_error&) {
      timed_out = true;
    }
    EXPECT_TRUE(timed_out);
    co_await a.send_to("kept", b.local_endpoint());
    auto late = plait::spawn(b.receive_from(buffer));
    late.cancel();  // before it has begun, with a datagram there
    bool cancelled = false;
    try {
      co_await late;
    } catch (const plait::cancelled_error&) {
      cancelled = true;
    }
    EXPECT_TRUE(cancelled);
    const auto got = co_await b.receive_from(buffer);
    EXPECT_EQ(text(buffer, got.size), "kept");
  };
  plait::run(body());
}

// Whatever the order of the stop and the datagram is, it is received once.
TEST(Udp, AStopThatRacesWithADatagramLosesNone) {
  auto body = []() -> plait::task<> {
    auto a = local(), b = local();
    for (int i = 0; i < 200; ++i) {
      std::array<char, 100> buffer{};
      auto receiving = plait::spawn(b.receive_from(buffer));
      if (i % 2 == 0) co_await plait::sleep(0ms);
      co_await a.send_to("x", b.local_endpoint());
      if (i % 3 == 0) co_await plait::sleep(0ms);
      receiving.cancel();
      bool received = true;
      try {
        co_await receiving;
      } catch (const plait::cancelled_error&) {
        received = false;
      }
      if (!received) co_await b.receive_from(buffer);
      EXPECT_EQ(b.try_receive_from(buffer), std::nullopt);
    }
  };
  plait::run(body());
}

TEST(Udp, ClosingCancelsWhoStillReceives) {
  auto body = []() -> plait::task<> {
    auto a = local();
    std::array<char, 100> buffer{};
    auto receiving = plait::spawn(a.receive_from(buffer));
    co_await plait::sleep(0ms);
    a.close();
    bool cancelled = false;
    try {
      co_await receiving;
    } catch (const plait::cancelled_error&) {
      cancelled = true;
    }
    EXPECT_TRUE(cancelled);
    EXPECT_THROW(a.try_receive_from(buffer), plait::net::connection_closed);
  };
  plait::run(body());
}

TEST(Udp, AGroupReachesItsMembersOnThisMachine) {
  auto body = []() -> plait::task<> {
    using use = plait::net::udp_options::port_use;
    auto first = udp_socket::bind("0.0.0.0", 0, {.port = use::shared});
    auto second = udp_socket::bind("0.0.0.0", first.port(), {.port = use::shared});
    auto sender = local();
    sender.send_groups_through("lo");
    for (auto* member : {&first, &second}) member->join("239.255.12.34", "lo");
    std::array<char, 100> buffer{};
    co_await sender.send_to("to all", *endpoint::parse("239.255.12.34", first.port()));
    for (auto* member : {&first, &second}) {
      const auto got = co_await plait::timeout(10s, member->receive_from(buffer));
      EXPECT_EQ(text(buffer, got.size), "to all");
    }
    second.leave("239.255.12.34", "lo");
    EXPECT_THROW(first.join("127.0.0.1"), plait::net::listen_error);
    EXPECT_THROW(first.join("no address"), plait::net::listen_error);
    EXPECT_THROW(first.join("239.255.12.34", "no-such-if"), plait::net::listen_error);
  };
  plait::run(body());
}

TEST(Udp, SpeaksIPv6WhereTheMachineDoes) {
  try {
    udp_socket::bind("::1", 0);
  } catch (const plait::net::listen_error&) {
    GTEST_SKIP() << "this machine has no IPv6 loopback";
  }
  auto body = []() -> plait::task<> {
    auto a = udp_socket::bind("::1", 0), b = udp_socket::bind("::1", 0);
    co_await a.send_to("six", b.local_endpoint());
    std::array<char, 100> buffer{};
    const auto got = co_await b.receive_from(buffer);
    EXPECT_EQ(got.peer, a.local_endpoint());
  };
  plait::run(body());
}

TEST(Udp, SaysWhyItCannotBind) {
  const auto taken = local();
  EXPECT_THROW(udp_socket::bind("127.0.0.1", taken.port()), plait::net::listen_error);
  EXPECT_THROW(udp_socket::bind("localhost", 0), plait::net::listen_error);
}

TEST(Udp, LeavesNoDescriptorBehind) {
  const int before = open_descriptors();
  { const auto socket = local(); }
  EXPECT_THROW(udp_socket::bind("192.0.2.1", 0), plait::net::listen_error);
  EXPECT_EQ(open_descriptors(), before);
}

}  // namespace

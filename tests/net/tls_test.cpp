// What TLS adds to a stream: whom it trusts, how it says no, and that nothing can be cut unseen.
#include "plait/net/tls.hpp"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <optional>
#include <string>

#include "tls_kinds.hpp"

namespace {

using namespace std::chrono_literals;
using plait::net::certificate_error;
using plait::net::tls_client_context;
using plait::net::tls_error;
using plait::net::tls_server_context;
using plait::net::tls_stream;
using plait::net::tls_verify;
using plait::testing::memory_stream_options;
using plait::testing::memory_stream_pair;

// What became of both ends of a handshake.
struct outcome {
  std::optional<tls_stream> client, server;
  std::string client_error, server_error;
  bool client_distrusts = false, server_distrusts = false;
};

plait::task<outcome> meet(plait::net::any_stream a, plait::net::any_stream b, std::string host,
                          const tls_client_context& trust, const tls_server_context& show) {
  outcome both;
  auto serving = plait::spawn(tls_stream::server(std::move(b), show));
  try {
    both.client = co_await tls_stream::client(std::move(a), std::move(host), trust);
  } catch (const plait::net::error& error) {
    both.client_error = error.what();
    both.client_distrusts = dynamic_cast<const certificate_error*>(&error) != nullptr;
  }
  try {
    both.server = co_await std::move(serving);
  } catch (const plait::net::error& error) {
    both.server_error = error.what();
    both.server_distrusts = dynamic_cast<const certificate_error*>(&error) != nullptr;
  }
  co_return both;
}

plait::task<outcome> meet(std::string host, const tls_client_context& trust,
                          const tls_server_context& show) {
  auto [a, b] = memory_stream_pair();
  plait::net::any_stream first(std::move(a)), second(std::move(b));
  co_return co_await meet(std::move(first), std::move(second), std::move(host), trust, show);
}

tls_server_context server_with(const certificate_wish& wish) {
  const identity own = authority().issue(wish);
  return tls_server_context({.certificate = own.certificate, .key = own.key});
}

// The client's complaint about a server, and that the server heard of it.
std::string complaint(const std::string& host, const tls_client_context& trust,
                      const tls_server_context& show) {
  return virtual_run([&]() -> plait::task<std::string> {
    auto both = co_await meet(host, trust, show);
    EXPECT_FALSE(both.client.has_value());
    EXPECT_TRUE(both.client_distrusts);
    EXPECT_FALSE(both.server_error.empty());
    co_return both.client_error;
  });
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Tls, BothEndsKnowWhatTheyAgreedOn) {
  virtual_run([]() -> plait::task<> {
    const identity own = authority().issue();
    const tls_client_context trust({.ca = authority().pem(), .alpn = {"h2", "http/1.1"}});
    const tls_server_context show(
        {.certificate = own.certificate, .key = own.key, .alpn = {"spdy", "http/1.1"}});
    auto both = co_await meet("localhost", trust, show);
    EXPECT_EQ(both.client_error, "");
    EXPECT_EQ(both.client->alpn(), "http/1.1");
    EXPECT_EQ(both.server->alpn(), "http/1.1");
    EXPECT_EQ(both.client->version(), "TLSv1.3");
    EXPECT_EQ(both.client->peer_subject(), "CN = localhost");
    EXPECT_EQ(both.server->peer_subject(), "");
    EXPECT_FALSE(both.client->resumed());
  });
}

TEST(Tls, NoCommonProtocolIsARefusal) {
  virtual_run([]() -> plait::task<> {
    const identity own = authority().issue();
    const tls_client_context trust({.ca = authority().pem(), .alpn = {"h2"}});
    const tls_server_context show(
        {.certificate = own.certificate, .key = own.key, .alpn = {"http/1.1"}});
    auto both = co_await meet("localhost", trust, show);
    EXPECT_TRUE(contains(both.client_error, "no application protocol")) << both.client_error;
    EXPECT_FALSE(both.server_error.empty());
  });
}

TEST(Tls, AnotherHostsCertificateIsRefusedAndSaysWhose) {
  const std::string said = complaint("bank.example", trusting(), shown());
  EXPECT_EQ(said,
            "host name does not match: the certificate that bank.example shows is for "
            "localhost, 127.0.0.1");
  const std::string address = complaint("127.0.0.2", trusting(), shown());
  EXPECT_TRUE(contains(address, "is for localhost, 127.0.0.1")) << address;
}

TEST(Tls, AnExpiredCertificateIsRefused) {
  const std::string said =
      complaint("localhost", trusting(), server_with({.valid_from = -7200, .valid_until = -3600}));
  EXPECT_TRUE(contains(said, "has expired")) << said;
  EXPECT_TRUE(contains(said, "renewed")) << said;
}

TEST(Tls, ACertificateOfTheFutureIsRefused) {
  const std::string said =
      complaint("localhost", trusting(), server_with({.valid_from = 3600, .valid_until = 7200}));
  EXPECT_TRUE(contains(said, "clock")) << said;
}

TEST(Tls, AnUnknownAuthorityIsRefused) {
  const test_authority other("somebody else");
  const std::string said = complaint("localhost", tls_client_context({.ca = other.pem()}), shown());
  EXPECT_TRUE(contains(said, "signed by nobody who is trusted here")) << said;
  EXPECT_TRUE(contains(said, "plait test CA")) << said;
  // The system's authorities do not know this one either.
  EXPECT_TRUE(contains(complaint("localhost", tls_client_context(), shown()), "signed by nobody"));
}

TEST(Tls, WildcardsAndAddressesMatchAsTheyShould) {
  virtual_run([]() -> plait::task<> {
    const auto wild = server_with({.names = "DNS:*.example.org"});
    auto matching = co_await meet("www.example.org", trusting(), wild);
    EXPECT_EQ(matching.client_error, "");
    auto deeper = co_await meet("a.b.example.org", trusting(), wild);
    EXPECT_TRUE(deeper.client_distrusts);
    auto address = co_await meet("127.0.0.1", trusting(), shown());
    EXPECT_EQ(address.client_error, "");
    // The subject's common name counts for nothing beside names (RFC 6125).
    auto common = co_await meet("localhost", trusting(), wild);
    EXPECT_TRUE(common.client_distrusts);
  });
}

TEST(Tls, VerificationCanBeTurnedDownOnlyByName) {
  virtual_run([]() -> plait::task<> {
    const tls_client_context any_name({.verify = tls_verify::certificate, .ca = authority().pem()});
    auto first = co_await meet("bank.example", any_name, shown());
    EXPECT_EQ(first.client_error, "");
    const tls_client_context anything({.verify = tls_verify::nothing});
    auto second = co_await meet("bank.example", anything, shown());
    EXPECT_EQ(second.client_error, "");
  });
  auto [a, b] = memory_stream_pair();
  EXPECT_THROW(static_cast<void>(tls_stream::client(std::move(a), "", trusting())), tls_error);
}

TEST(Tls, AServerMayAskWhoTheClientIs) {
  virtual_run([]() -> plait::task<> {
    const identity own = authority().issue();
    const identity person = authority().issue({.subject = "alice", .names = "email:a@b.example"});
    const tls_server_context asking(
        {.certificate = own.certificate, .key = own.key, .client_ca = authority().pem()});
    const tls_client_context known(
        {.ca = authority().pem(), .certificate = person.certificate, .key = person.key});
    auto both = co_await meet("localhost", known, asking);
    EXPECT_EQ(both.server_error, "");
    EXPECT_EQ(both.server->peer_subject(), "CN = alice");

    // In TLS 1.3 the client learns by its first read that it was refused.
    auto nobody = co_await meet("localhost", trusting(), asking);
    EXPECT_TRUE(nobody.server_distrusts);
    EXPECT_TRUE(contains(nobody.server_error, "did not show a certificate")) << nobody.server_error;
    std::array<char, 8> buffer{};
    EXPECT_TRUE(co_await throws<tls_error>(nobody.client->read_some(buffer)));

    const test_authority other("somebody else");
    const identity stranger = other.issue({.subject = "mallory"});
    const tls_client_context unknown(
        {.ca = authority().pem(), .certificate = stranger.certificate, .key = stranger.key});
    auto strange = co_await meet("localhost", unknown, asking);
    EXPECT_TRUE(strange.server_distrusts) << strange.server_error;
  });
}

TEST(Tls, ASessionIsTakenUpAgain) {
  virtual_run([]() -> plait::task<> {
    const tls_client_context trust({.ca = authority().pem()});
    std::array<char, 8> buffer{};
    for (int visit = 0; visit < 3; ++visit) {
      auto both = co_await meet("localhost", trust, shown());
      EXPECT_EQ(both.client->resumed(), visit > 0) << "visit " << visit;
      EXPECT_EQ(both.server->resumed(), visit > 0);
      co_await both.server->write_all("x");  // behind the tickets
      const std::size_t got = co_await both.client->read_some(buffer);
      EXPECT_EQ(got, 1u);
      co_await both.client->shutdown_write();
      co_await both.server->shutdown_write();
    }
    auto elsewhere = co_await meet("127.0.0.1", trust, shown());
    EXPECT_FALSE(elsewhere.client->resumed()) << "sessions are kept by host";
  });
}

TEST(Tls, AnEndThatTheOtherSideDidNotSayIsNoEnd) {
  virtual_run([]() -> plait::task<> {
    auto [a, b] = co_await tls_over_kind<memory_kind>::connect();
    co_await a.write_all("half of it");
    a.close();
    std::string buffer(100, '\0');
    const std::size_t got = co_await b.read_some(buffer);
    EXPECT_EQ(got, 10u);
    for (int i = 0; i < 2; ++i)
      EXPECT_TRUE(co_await throws<plait::net::truncated_stream>(b.read_some(buffer)));
  });
}

TEST(Tls, OneWhoDoesNotSpeakTlsIsToldFromOneWhoDoes) {
  virtual_run([]() -> plait::task<> {
    auto [a, b] = memory_stream_pair();
    co_await b.write_all("HTTP/1.1 400 Bad Request\r\n\r\n");
    auto [c, d] = memory_stream_pair();
    auto [e, f] = memory_stream_pair();
    f.close();
    co_await d.write_all("GET / HTTP/1.1\r\n\r\n");
    std::string said;
    try {
      co_await tls_stream::client(std::move(a), "localhost", trusting());
    } catch (const tls_error& error) {
      said = error.what();
    }
    EXPECT_TRUE(contains(said, "does it speak TLS on this port?")) << said;
    EXPECT_TRUE(co_await throws<tls_error>(tls_stream::server(std::move(c), shown())));
    EXPECT_TRUE(co_await throws<plait::net::error>(
        tls_stream::client(std::move(e), "localhost", trusting())));
  });
}

// Wherever the connection is cut, both ends hear of it, and none waits for ever.
TEST(Tls, AHandshakeThatIsCutFailsAtBothEnds) {
  for (const auto how : {memory_stream_options::cut::breaks, memory_stream_options::cut::ends})
    for (std::size_t after = 1; after < 500; after += 37)
      virtual_run([&]() -> plait::task<> {
        auto [a, b] = memory_stream_pair({.cut_after = after, .cut_how = how});
        plait::net::any_stream first(std::move(a)), second(std::move(b));
        auto both =
            co_await meet(std::move(first), std::move(second), "localhost", trusting(), shown());
        EXPECT_FALSE(both.client.has_value()) << after;
        EXPECT_FALSE(both.server.has_value()) << after;
      });
}

TEST(Tls, AHandshakeCanBeStoppedAtEveryStep) {
  int finished = 0;
  for (int after = 0; after < 60; after += 2)
    virtual_run([&]() -> plait::task<> {
      auto [a, b] = memory_stream_pair({.largest_piece = 200, .longest_delay = 3ms});
      auto serving = plait::spawn(tls_stream::server(std::move(b), shown()));
      bool stopped = false;
      std::optional<tls_stream> client;
      try {
        client = co_await plait::timeout(std::chrono::milliseconds(after),
                                         tls_stream::client(std::move(a), "localhost", trusting()));
      } catch (const plait::timeout_error&) {
        stopped = true;
      }
      const bool refused = co_await throws<plait::net::error>(std::move(serving));
      EXPECT_EQ(refused, stopped) << "a stopped handshake closes its transport";
      finished += !stopped;
    });
  EXPECT_LT(finished, 30);
}

// Both directions at once, every call stopped at some random time, over a slow and narrow transport.
TEST(Tls, StopsAtRandomTimesLoseNothingAndDoubleNothing) {
  virtual_run([]() -> plait::task<> {
    plait::testing::random_source random;
    auto [under_a, under_b] =
        memory_stream_pair({.largest_piece = 700, .longest_delay = 2ms, .capacity = 5000});
    plait::net::any_stream first(std::move(under_a)), second(std::move(under_b));
    auto both =
        co_await meet(std::move(first), std::move(second), "localhost", trusting(), shown());
    const std::string sent = pattern(300'000);
    const auto write = [&](tls_stream& to) -> plait::task<> {
      for (std::string_view rest(sent); !rest.empty();) {
        try {
          const std::size_t took = co_await plait::timeout(
              std::chrono::microseconds(random.below(5000)), to.write_some(rest.substr(0, 9000)));
          rest.remove_prefix(took);
        } catch (const plait::timeout_error&) {
        }
      }
      co_await to.shutdown_write();
    };
    const auto read = [&](tls_stream& from) -> plait::task<std::string> {
      std::string all, buffer(5000, '\0');
      for (;;) {
        try {
          const std::size_t got = co_await plait::timeout(
              std::chrono::microseconds(random.below(5000)), from.read_some(buffer));
          if (got == 0) co_return all;
          all.append(buffer, 0, got);
        } catch (const plait::timeout_error&) {
        }
      }
    };
    auto [none, also_none, back, there] = co_await plait::gather(
        write(*both.client), write(*both.server), read(*both.client), read(*both.server));
    EXPECT_TRUE(there == sent) << there.size();
    EXPECT_TRUE(back == sent) << back.size();
  });
}

// As code that holds no buffer while it waits does it.
TEST(Tls, CallsThatDoNotWaitAndWaitsThatMoveNothing) {
  virtual_run([]() -> plait::task<> {
    auto [a, b] = co_await tls_over_kind<rude_memory_kind>::connect();
    const std::string sent = pattern(100'000);
    const auto write = [&]() -> plait::task<> {
      for (std::string_view rest(sent); !rest.empty();) {
        rest.remove_prefix(a.try_write(rest));
        co_await a.writable();
      }
      co_await a.shutdown_write();
    };
    auto writing = plait::spawn(write());
    std::string got, buffer(3000, '\0');
    for (;;) {
      co_await b.readable();
      const auto n = b.try_read(buffer);
      if (n == std::size_t{0}) break;
      got.append(buffer, 0, n.value_or(0));
    }
    EXPECT_TRUE(got == sent) << got.size();
    co_await std::move(writing);
  });
}

TEST(Tls, ContextsSayWhatIsWrongWithTheirFiles) {
  const identity own = authority().issue(), other = authority().issue();
  const auto said = [](const auto& make) -> std::string {
    try {
      make();
    } catch (const tls_error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_TRUE(contains(said([] { tls_client_context({.ca = "/nowhere.pem"}); }), "/nowhere.pem"));
  EXPECT_TRUE(contains(said([] { tls_client_context({.ca = "/dev/null"}); }), "PEM"));
  EXPECT_TRUE(contains(said([] { tls_server_context({}); }), "certificate"));
  EXPECT_TRUE(contains(
      said([&] { tls_server_context({.certificate = own.certificate, .key = other.key}); }),
      "does not belong"));
  EXPECT_TRUE(contains(
      said([&] { tls_server_context({.certificate = own.certificate, .key = own.certificate}); }),
      "no private key"));
}

}  // namespace

// TLS against somebody else's: the openssl program as a client and as a server; and serve() with it.
#include <gtest/gtest.h>
#include <signal.h>

#include <array>
#include <chrono>
#include <fstream>
#include <string>

#include "plait/testing/temporary_folder.hpp"
#include "plait/testing/unhandled_recorder.hpp"
#include "tls_kinds.hpp"

namespace {

using namespace std::chrono_literals;
namespace net = plait::net;
using net::command;
using net::redirect;
using net::subprocess;
using net::tcp_listener;
using net::tls_stream;
using plait::testing::temporary_folder;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Answers one line with the same line, and says what it knows of the connection.
plait::task<> greet(tls_stream stream) {
  net::buffered_reader reader(stream);
  while (auto line = co_await reader.read_line())
    co_await stream.write_all(*line + " for " + stream.server_name() + " by " + stream.version() +
                              " as " + stream.alpn() + "\n");
  co_await stream.shutdown_write();
}

net::tls_server_context speaking_http() {
  const identity own = authority().issue();
  return net::tls_server_context(
      {.certificate = own.certificate, .key = own.key, .alpn = {"http/1.1"}});
}

// `openssl s_client` with these arguments, against a plait server; gets `input`, then the end.
struct conversation {
  net::completed client;
  std::size_t reports;
};
conversation talk_with_s_client(const std::vector<std::string>& arguments, std::string input) {
  const temporary_folder folder;
  std::ofstream(folder / "ca.pem") << authority().pem();
  plait::testing::unhandled_recorder recorder;
  auto client = run_program([&]() -> plait::task<net::completed> {
    auto listener = tcp_listener::bind("127.0.0.1", 0);
    auto serving = plait::spawn(net::serve(listener, net::over_tls(speaking_http(), greet)));
    command openssl("openssl", "s_client", "-connect", listener.local_endpoint().to_string(),
                    "-CAfile", folder / "ca.pem", "-verify_return_error");
    for (const auto& a : arguments) openssl.argument(a);
    auto done = co_await net::run_command(std::move(openssl), std::move(input));
    serving.cancel();
    co_await throws<plait::cancelled_error>(std::move(serving));
    co_return done;
  });
  return {std::move(client), recorder.count()};
}

TEST(TlsWithOpenssl, AClientOfTheirsIsServed) {
  const temporary_folder folder;
  std::ofstream(folder / "ca.pem") << authority().pem();
  for (const auto& [option, version] : {std::pair{"-tls1_2", "TLSv1.2"}, {"-tls1_3", "TLSv1.3"}}) {
    const auto asked = run_program([&]() -> plait::task<std::string> {
      auto listener = tcp_listener::bind("127.0.0.1", 0);
      auto serving = plait::spawn(net::serve(listener, net::over_tls(speaking_http(), greet)));
      command openssl("openssl", "s_client", "-connect", listener.local_endpoint().to_string(),
                      "-CAfile", folder / "ca.pem", "-verify_return_error", "-verify_hostname",
                      "localhost", "-servername", "localhost", "-alpn", "h2,http/1.1", option,
                      "-quiet");
      openssl.in(redirect::pipe()).out(redirect::pipe()).err(redirect::null());
      auto client = subprocess::start(openssl);
      co_await client.in().write_all("hello\n");
      net::buffered_reader reader(client.out());
      auto line = co_await reader.read_line();
      serving.cancel();
      co_await throws<plait::cancelled_error>(std::move(serving));
      co_return line.value_or("nothing");
    });
    EXPECT_EQ(asked, "hello for localhost by " + std::string(version) + " as http/1.1");
  }
}

TEST(TlsWithOpenssl, TlsBelow12IsRefused) {
  for (const char* version : {"-tls1", "-tls1_1"}) {
    const auto talk = talk_with_s_client({version, "-cipher", "DEFAULT:@SECLEVEL=0"}, "Q\n");
    EXPECT_FALSE(talk.client.status.success());
    EXPECT_TRUE(contains(talk.client.err, "protocol version") ||
                contains(talk.client.err, "no protocols available"))
        << talk.client.err;
    EXPECT_EQ(talk.reports, 0u) << "a handshake that fails is no fault of the server's";
  }
}

TEST(TlsWithOpenssl, RenegotiationIsRefused) {
  const auto talk = talk_with_s_client({"-tls1_2", "-servername", "localhost"}, "R\nQ\n");
  EXPECT_FALSE(talk.client.status.success());
  EXPECT_TRUE(contains(talk.client.err, "no renegotiation")) << talk.client.err;
}

TEST(TlsWithOpenssl, AServerOfAnotherNameIsNotTrustedByThem) {
  const auto talk = talk_with_s_client({"-verify_hostname", "bank.example"}, "Q\n");
  EXPECT_FALSE(talk.client.status.success());
  EXPECT_TRUE(contains(talk.client.err, "ostname mismatch")) << talk.client.err;
}

// `openssl s_server -rev`, which sends every line back reversed, for as long as the object lives.
class s_server {
 public:
  static plait::task<s_server> start(std::vector<std::string> arguments,
                                     certificate_wish wish = {}) {
    s_server made;
    const identity own = authority().issue(wish);
    std::ofstream(*made.folder_ / "cert.pem") << own.certificate;
    std::ofstream(*made.folder_ / "key.pem") << own.key;
    command openssl("openssl", "s_server", "-accept", "127.0.0.1:0", "-rev", "-cert",
                    *made.folder_ / "cert.pem", "-key", *made.folder_ / "key.pem");
    for (const auto& a : arguments) openssl.argument(a);
    openssl.in(redirect::null()).out(redirect::pipe()).err(redirect::null());
    made.process_ = subprocess::start(openssl);
    net::buffered_reader said(made.process_->out());
    while (auto line = co_await said.read_line()) {
      const auto colon = line->rfind(':');
      if (!line->starts_with("ACCEPT")) continue;
      made.port_ = static_cast<std::uint16_t>(std::stoi(line->substr(colon + 1)));
      break;
    }
    co_return made;
  }
  std::uint16_t port() const noexcept { return port_; }
  subprocess& process() noexcept { return *process_; }

 private:
  s_server() : folder_(std::make_unique<temporary_folder>()) {}
  std::unique_ptr<temporary_folder> folder_;
  std::optional<subprocess> process_;
  std::uint16_t port_ = 0;
};

plait::task<tls_stream> connect_to(const s_server& server, const net::tls_client_context& trust) {
  auto transport = co_await net::tcp_stream::connect("127.0.0.1", server.port());
  net::any_stream below(std::move(transport));
  co_return co_await tls_stream::client(std::move(below), "localhost", trust);
}

TEST(TlsWithOpenssl, AServerOfTheirsAnswers) {
  run_program([]() -> plait::task<> {
    auto starting = s_server::start({"-alpn", "http/1.1"});
    auto server = co_await std::move(starting);
    const net::tls_client_context trust({.ca = authority().pem(), .alpn = {"h2", "http/1.1"}});
    auto stream = co_await connect_to(server, trust);
    EXPECT_EQ(stream.version(), "TLSv1.3");
    EXPECT_EQ(stream.alpn(), "http/1.1");
    co_await stream.write_all("hello\n");
    net::buffered_reader reader(stream);
    const auto line = co_await reader.read_line();
    EXPECT_EQ(line.value_or("nothing"), "olleh");
  });
}

TEST(TlsWithOpenssl, AServerOfTheirsThatOffersLessThan12IsRefused) {
  run_program([]() -> plait::task<> {
    auto starting = s_server::start({"-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0"});
    auto server = co_await std::move(starting);
    std::string said;
    try {
      co_await connect_to(server, trusting());
      ADD_FAILURE() << "TLS 1.1 was accepted";
    } catch (const net::tls_error& error) {
      said = error.what();
    }
    EXPECT_TRUE(contains(said, "protocol")) << said;
  });
}

TEST(TlsWithOpenssl, AServerOfTheirsThatHasExpiredIsRefused) {
  run_program([]() -> plait::task<> {
    auto starting = s_server::start({}, {.valid_from = -7200, .valid_until = -3600});
    auto server = co_await std::move(starting);
    std::string said;
    try {
      co_await connect_to(server, trusting());
    } catch (const net::certificate_error& error) {
      said = error.what();
    }
    EXPECT_TRUE(contains(said, "has expired")) << said;
  });
}

// A server that dies says no end: what was read may not be all.
TEST(TlsWithOpenssl, AServerThatIsKilledHasNotSaidItsEnd) {
  run_program([]() -> plait::task<> {
    auto starting = s_server::start({});
    auto server = co_await std::move(starting);
    auto stream = co_await connect_to(server, trusting());
    co_await stream.write_all("hello\n");
    net::buffered_reader reader(stream);
    co_await reader.read_line();
    server.process().kill();
    std::array<char, 8> buffer{};
    bool ended_well = false;
    try {
      const std::size_t got = co_await stream.read_some(buffer);
      ended_well = got == 0;
    } catch (const net::truncated_stream&) {
    } catch (const net::connection_closed&) {  // reset
    }
    EXPECT_FALSE(ended_well);
  });
}

TEST(OverTls, SlowHandshakesKeepNobodyWaitingAndAreCutOff) {
  run_program([]() -> plait::task<> {
    auto listener = tcp_listener::bind("127.0.0.1", 0);
    auto handler = net::over_tls(shown(), greet, {.handshake_timeout = 50ms});
    auto serving = plait::spawn(net::serve(listener, std::move(handler)));
    auto silent = co_await net::tcp_stream::connect("127.0.0.1", listener.port());
    auto transport = co_await net::tcp_stream::connect("127.0.0.1", listener.port());
    net::any_stream below(std::move(transport));
    auto stream = co_await tls_stream::client(std::move(below), "localhost", trusting());
    co_await write_and_end(stream, "hello\n");
    const std::string answer = co_await read_to_end(stream);
    EXPECT_EQ(answer, "hello for localhost by TLSv1.3 as \n");
    std::array<char, 8> buffer{};
    const std::size_t end = co_await silent.read_some(buffer);
    EXPECT_EQ(end, 0u);
    serving.cancel();
    co_await throws<plait::cancelled_error>(std::move(serving));
  });
}

}  // namespace

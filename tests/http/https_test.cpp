// https: whom the client trusts, and what it says when it does not.
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "../net/test_authority.hpp"
#include "plait/net/tls.hpp"
#include "servers.hpp"

namespace {

using namespace std::chrono_literals;
namespace http = plait::http;
namespace net = plait::net;

// Answers every request of its TLS connections with "safe".
plait::task<> serve_one(net::tcp_stream raw, net::tls_server_context shown) {
  try {
    auto stream = co_await net::tls_stream::server(std::move(raw), shown);
    std::array<char, 4096> buffer{};
    for (;;) {
      std::string head;
      while (head.find("\r\n\r\n") == std::string::npos) {
        const std::size_t got = co_await stream.read_some(buffer);
        if (got == 0) co_return;
        head.append(buffer.data(), got);
      }
      co_await stream.write_all("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsafe");
    }
  } catch (const net::error&) {  // the client does not trust us, or has had enough
  }
}

template <class Body>
plait::task<> with_https_server(const identity& who, Body body) {
  const net::tls_server_context shown(
      {.certificate = who.certificate, .key = who.key, .alpn = {"http/1.1"}});
  const conduct how = [&](net::tcp_stream& stream, int) {
    return serve_one(std::move(stream), shown);
  };
  co_await with_rude_server(how, [&](std::string url) -> plait::task<> {
    co_await body("https://localhost" + url.substr(url.rfind(':')));
  });
}

template <class Error>
plait::task<std::string> refusal(const net::tls_client_options& tls, std::string url) {
  http::client_session session({.tls = tls});
  try {
    co_await session.get(url);
  } catch (const Error& error) {
    co_return error.what();
  }
  co_return "";
}

TEST(Https, ATrustedServerAnswersAndItsConnectionIsKept) {
  const test_authority authority;
  plait::run(with_https_server(authority.issue(), [&](std::string url) -> plait::task<> {
    http::client_session session({.tls = {.ca = authority.pem()}});
    for (int i = 0; i < 3; ++i) {
      const auto answer = co_await session.get(url + "/page");
      EXPECT_EQ(answer.content, "safe");
      EXPECT_EQ(session.idle_connections(), 1u);
    }
  }));
}

TEST(Https, NobodyIsTrustedWithoutAReason) {
  const test_authority authority, stranger("a stranger's CA");
  plait::run(with_https_server(authority.issue(), [&](std::string url) -> plait::task<> {
    const net::tls_client_options system_s, stranger_s{.ca = stranger.pem()};
    const auto unknown = co_await refusal<http::tls_error>(system_s, url);
    EXPECT_NE(unknown.find("localhost"), std::string::npos) << unknown;
    const auto other = co_await refusal<http::tls_error>(stranger_s, url);
    EXPECT_NE(other, "");
    http::client_session careless({.tls = {.verify = net::tls_verify::nothing}});
    const auto answer = co_await careless.get(url);
    EXPECT_EQ(answer.content, "safe");
  }));
}

TEST(Https, AnotherHostsCertificateAndAnExpiredOneAreRefused) {
  const test_authority authority;
  const certificate_wish wishes[] = {{.names = "DNS:other.test"},
                                     {.valid_from = -7200, .valid_until = -3600}};
  for (const auto& wish : wishes) {
    plait::run(with_https_server(authority.issue(wish), [&](std::string url) -> plait::task<> {
      const net::tls_client_options trusting{.ca = authority.pem()};
      const auto why = co_await refusal<http::tls_error>(trusting, url);
      EXPECT_NE(why, "");
    }));
  }
}

enum class farewell { tls_end, plain_end, unasked_bytes };

// One answer a connection; when that has been read, what nobody has asked for.
struct parting {
  const farewell how;
  plait::event read = {}, done = {};
  int connections = 0;
};
plait::task<> serve_once(net::tcp_stream raw, net::tls_server_context shown, parting& part) {
  auto stream = co_await net::tls_stream::server(std::move(raw), shown);
  std::array<char, 4096> buffer{};
  for (std::string head; head.find("\r\n\r\n") == std::string::npos;) {
    const std::size_t got = co_await stream.read_some(buffer);
    if (got == 0) co_return;
    head.append(buffer.data(), got);
  }
  co_await stream.write_all("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsafe");
  co_await part.read.wait();
  part.read.clear();
  if (part.how == farewell::unasked_bytes) co_await stream.write_all("HTTP/1.1 200 OK\r\n\r\n");
  if (part.how == farewell::tls_end) co_await stream.shutdown_write();
  if (part.how != farewell::unasked_bytes) stream.close();
  part.done.set();
  if (part.how == farewell::unasked_bytes) co_await stream.read_some(buffer);
}

// A POST may not be repeated, so one on a connection whose end had arrived was lost.
TEST(Https, AConnectionThatTheServerHasLeftIsNotUsedForTheNextRequest) {
  const test_authority authority;
  const identity who = authority.issue();
  const net::tls_server_context shown({.certificate = who.certificate, .key = who.key});
  for (const farewell how : {farewell::tls_end, farewell::plain_end, farewell::unasked_bytes}) {
    parting part{.how = how};
    const conduct once = [&](net::tcp_stream& stream, int) {
      ++part.connections;
      return serve_once(std::move(stream), shown, part);
    };
    plait::run(with_rude_server(once, [&](std::string url) -> plait::task<> {
      http::client_session session({.tls = {.ca = authority.pem()}});
      const std::string page = "https://localhost" + url.substr(url.rfind(':')) + "/";
      for (int i = 0; i < 3; ++i) {
        part.done.clear();
        const auto answer = co_await session.post(page);
        EXPECT_EQ(answer.content, "safe");
        EXPECT_EQ(session.idle_connections(), 1u);
        part.read.set();
        co_await part.done.wait();
        co_await plait::sleep(1ms);  // a turn of the loop, which hears of it
      }
    }));
    EXPECT_EQ(part.connections, 3) << static_cast<int>(how);
  }
}

plait::task<> answer_in_plain_text(net::tcp_stream& stream) {
  std::array<char, 4096> buffer{};
  co_await stream.read_some(buffer);
  co_await stream.write_all("HTTP/1.1 400 Bad Request\r\n\r\n");
}
TEST(Https, AServerWithoutTlsIsToldApart) {
  const conduct how = [](net::tcp_stream& stream, int) { return answer_in_plain_text(stream); };
  plait::run(with_rude_server(how, [](std::string url) -> plait::task<> {
    const net::tls_client_options usual;
    const auto why = co_await refusal<http::tls_error>(usual, "https" + url.substr(4));
    EXPECT_NE(why, "");
  }));
}

}  // namespace

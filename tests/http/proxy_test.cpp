// Proxies: HTTP and SOCKS ones of our own on loopback, kind and rude.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <vector>

#include "../net/descriptor_count.hpp"
#include "../net/test_authority.hpp"
#include "http/proxy.hpp"
#include "plait/net/tls.hpp"
#include "servers.hpp"

namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
namespace http = plait::http;
namespace net = plait::net;

plait::task<> pour(net::tcp_stream& from, net::tcp_stream& to) {
  co_await net::copy(from, to);
  co_await to.shutdown_write();
}
plait::task<> join(net::tcp_stream& a, net::tcp_stream& b) {
  co_await plait::gather(pour(a, b), pour(b, a));
}

// What a proxy of ours was asked, and where its other ends are: every name is 127.0.0.1.
struct proxy_log {
  std::vector<std::string> heads;
  std::vector<std::string> destinations;
  int connections = 0;
};

// An HTTP proxy that passes requests on, one after the other, and opens tunnels.
plait::task<> be_http_proxy(net::tcp_stream& client, proxy_log& log) {
  ++log.connections;
  for (;;) {
    std::string head = co_await read_head(client);
    if (head.empty()) co_return;
    log.heads.push_back(head);
    const auto space = head.find(' ');
    std::string target = head.substr(space + 1, head.find(' ', space + 1) - space - 1);
    const bool tunnel = head.starts_with("CONNECT ");
    const http::url to(tunnel ? "http://" + target : target);
    log.destinations.push_back(to.host() + ":" + std::to_string(to.port()));
    auto server = co_await net::tcp_stream::connect("127.0.0.1", to.port());
    if (tunnel) {
      co_await client.write_all("HTTP/1.1 200 Connection established\r\n\r\n");
      co_await join(client, server);
      co_return;
    }
    co_await server.write_all(head.substr(0, space + 1) + to.target() +
                              head.substr(head.find(" HTTP/1.1")));
    co_await server.shutdown_write();
    std::string answer = co_await read_head(server);
    co_await client.write_all(answer);
  }
}

// A SOCKS proxy; with a user it wants that one and "secret".
plait::task<> be_socks_proxy(net::tcp_stream& client, proxy_log& log, std::string user) {
  ++log.connections;
  net::buffered_reader reader(client);
  const std::string hello = co_await reader.read_exactly(2);
  co_await reader.read_exactly(static_cast<unsigned char>(hello[1]));
  const std::string way = user.empty() ? "\5\0"s : "\5\2"s;
  co_await client.write_all(way);
  if (!user.empty()) {
    const std::string name = co_await reader.read_exactly(2);
    const std::string given = co_await reader.read_exactly(static_cast<unsigned char>(name[1]));
    const std::string size = co_await reader.read_exactly(1);
    const std::string word = co_await reader.read_exactly(static_cast<unsigned char>(size[0]));
    const bool good = given == user && word == "secret";
    const std::string verdict = good ? "\1\0"s : "\1\1"s;
    co_await client.write_all(verdict);
    if (!good) co_return;
  }
  const std::string ask = co_await reader.read_exactly(4);
  std::string host;
  if (ask[3] == 3) {
    const std::string size = co_await reader.read_exactly(1);
    host = co_await reader.read_exactly(static_cast<unsigned char>(size[0]));
  } else {
    const std::string bytes = co_await reader.read_exactly(ask[3] == 1 ? 4 : 16);
    host = std::to_string(bytes.size()) + " bytes";
  }
  const std::string port_bytes = co_await reader.read_exactly(2);
  const auto port = static_cast<std::uint16_t>(static_cast<unsigned char>(port_bytes[0]) << 8 |
                                               static_cast<unsigned char>(port_bytes[1]));
  log.destinations.push_back(host);
  auto server = co_await net::tcp_stream::connect("127.0.0.1", port);
  co_await client.write_all("\5\0\0\1\0\0\0\0\0\0"s);
  co_await join(client, server);
}

// Answers with the head of what was asked, as a body.
plait::task<> echo_heads(net::tcp_stream& stream) {
  for (;;) {
    const std::string head = co_await read_head(stream);
    if (head.empty()) co_return;
    co_await stream.write_all(
        "HTTP/1.1 200 OK\r\nX-Head: " + std::to_string(head.find("Proxy-Authorization")) +
        "\r\nX-Line: " + head.substr(0, head.find('\r')) + "\r\nContent-Length: 0\r\n\r\n");
  }
}

std::string port_of(const std::string& url) { return url.substr(url.rfind(':') + 1); }

// Runs body(proxy's host:port, origin's port) with both.
template <class Body>
void with_proxy(conduct proxy, conduct origin, Body body) {
  plait::run(with_rude_server(std::move(proxy), [&](std::string by) -> plait::task<> {
    co_await with_rude_server(origin, [&](std::string to) -> plait::task<> {
      co_await body(by.substr(by.rfind('/') + 1), port_of(to));
    });
  }));
}
const conduct echoing = [](net::tcp_stream& s, int) { return echo_heads(s); };

TEST(Proxy, PlainRequestsGoToItInAbsoluteFormOnOneConnection) {
  proxy_log log;
  with_proxy([&](net::tcp_stream& s, int) { return be_http_proxy(s, log); }, echoing,
             [&](std::string by, std::string port) -> plait::task<> {
               http::client_session session({.proxy = "http://me:p%40ss@" + by});
               for (int i = 0; i < 3; ++i) {
                 const auto answer = co_await session.get("http://origin.test:" + port + "/a?b");
                 EXPECT_EQ(answer.headers.get("X-Line"), "GET /a?b HTTP/1.1");
               }
             });
  EXPECT_EQ(log.connections, 1);
  ASSERT_EQ(log.heads.size(), 3u);
  EXPECT_NE(log.heads[0].find("Proxy-Authorization: " + http::basic_auth("me", "p@ss") + "\r\n"),
            std::string::npos)
      << log.heads[0];
  EXPECT_TRUE(log.destinations[0].starts_with("origin.test:"));
}

plait::task<> be_safe(net::tcp_stream raw, net::tls_server_context shown, std::string& heard) {
  auto stream = co_await net::tls_stream::server(std::move(raw), shown);
  std::array<char, 4096> buffer{};
  while (heard.find("\r\n\r\n") == std::string::npos)
    heard.append(buffer.data(), co_await stream.read_some(buffer));
  co_await stream.write_all("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsafe");
}
TEST(Proxy, HttpsGoesThroughATunnelAndTheOriginNeverSeesTheCredentials) {
  const test_authority authority;
  const identity who = authority.issue({.names = "DNS:origin.test"});
  const net::tls_server_context shown({.certificate = who.certificate, .key = who.key});
  for (const std::string kind : {"http", "socks5h"}) {
    proxy_log log;
    std::string heard;
    with_proxy(
        [&](net::tcp_stream& s, int) {
          return kind == "http" ? be_http_proxy(s, log) : be_socks_proxy(s, log, "me");
        },
        [&](net::tcp_stream& s, int) { return be_safe(std::move(s), shown, heard); },
        [&](std::string by, std::string port) -> plait::task<> {
          http::client_session session(
              {.proxy = kind + "://me:secret@" + by, .tls = {.ca = authority.pem()}});
          const auto answer = co_await session.get("https://origin.test:" + port + "/");
          EXPECT_EQ(answer.content, "safe");
        });
    EXPECT_TRUE(heard.starts_with("GET / HTTP/1.1\r\n")) << heard;
    EXPECT_EQ(heard.find("Proxy-Authorization"), std::string::npos);
    EXPECT_EQ(log.destinations.size(), 1u);
  }
}

TEST(Proxy, Socks5hIsToldNamesAndSocks5Addresses) {
  for (const std::string kind : {"socks5h", "socks5"}) {
    proxy_log log;
    with_proxy([&](net::tcp_stream& s, int) { return be_socks_proxy(s, log, ""); }, echoing,
               [&](std::string by, std::string port) -> plait::task<> {
                 http::client_session session({.proxy = kind + "://" + by});
                 const auto named = co_await session.get("http://localhost:" + port + "/x");
                 EXPECT_EQ(named.headers.get("X-Line"), "GET /x HTTP/1.1");
                 const auto numbered = co_await session.get("http://127.0.0.1:" + port + "/");
                 EXPECT_TRUE(numbered.ok());
               });
    ASSERT_EQ(log.destinations.size(), 2u);
    if (kind == "socks5h") {
      EXPECT_EQ(log.destinations[0], "localhost");
    } else {
      EXPECT_TRUE(log.destinations[0].ends_with(" bytes"));
    }
    EXPECT_EQ(log.destinations[1], "4 bytes");
  }
}

// One GET by a proxy that behaves like `how`: what proxy_error says, with its status in front.
std::string refused(conduct how, const std::string& scheme = "http",
                    const std::string& url = "https://origin.test/",
                    http::client_options options = {}) {
  std::string result;
  plait::run(with_rude_server(std::move(how), [&](std::string by) -> plait::task<> {
    const std::string address = by.substr(by.rfind('/') + 1);
    options.proxy =
        scheme.find("://") == std::string::npos ? scheme + "://" + address : scheme + address;
    http::client_session session(options);
    try {
      co_await session.get(url);
    } catch (const http::proxy_error& error) {
      result = std::to_string(error.status_code()) + " " + error.what();
    } catch (const plait::error& error) {
      result = std::string("another error: ") + error.what();
    }
  }));
  return result;
}
bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

TEST(Proxy, ARefusalSaysWhatToDo) {
  const auto closed = answering("HTTP/1.1 407 Who are you\r\n\r\n");
  const std::string asked = refused(closed);
  EXPECT_TRUE(asked.starts_with("407 ") && has(asked, "wants credentials")) << asked;
  const std::string wrong = refused(closed, "http://me:secret@");
  EXPECT_TRUE(has(wrong, "does not accept our credentials")) << wrong;
  EXPECT_FALSE(has(wrong, "secret")) << wrong;
  const std::string gateway =
      refused(answering("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nno!"));
  EXPECT_TRUE(gateway.starts_with("502 ") && has(gateway, "502 Bad Gateway") &&
              has(gateway, "origin.test:443"))
      << gateway;
}

TEST(Proxy, OnlyAnotherTryThatCouldHelpIsMade) {
  int tries = 0;
  const auto counting = [&](const std::string& status) -> conduct {
    return
        [&tries, answer = answering("HTTP/1.1 " + status + "\r\n\r\n")](net::tcp_stream& s, int n) {
          ++tries;
          return answer(s, n);
        };
  };
  const http::client_options twice{.retries = {.times = 2, .backoff = 1ms}};
  refused(counting("502 Bad Gateway"), "http", "https://origin.test/", twice);
  EXPECT_EQ(tries, 3);
  tries = 0;
  refused(counting("407 Who"), "http", "https://origin.test/", twice);
  EXPECT_EQ(tries, 1);
}

plait::task<> drip_and_relay(net::tcp_stream& client) {
  co_await read_head(client);
  for (const char c : "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Busy\r\nA: b\r\n\r\n"s) {
    co_await client.write_all({&c, 1});
    co_await plait::sleep(0ms);
  }
}
plait::task<> flood(net::tcp_stream& client) {
  co_await read_head(client);
  co_await client.write_all("HTTP/1.1 200 OK\r\n");
  for (int i = 0; i < 4096; ++i)
    co_await client.write_all("X-Filler: " + std::string(64, 'x') + "\r\n");
}
TEST(Proxy, RudeOnesAreToldApart) {
  EXPECT_TRUE(has(refused([](net::tcp_stream& s, int) { return drip_and_relay(s); }), "503 Busy"));
  EXPECT_TRUE(has(refused(answering("")), "closed the connection instead of answering CONNECT"));
  EXPECT_TRUE(has(refused(answering("HTTP/1.1 200 O")), "closed the connection"));
  EXPECT_TRUE(has(refused(answering("SSH-2.0-OpenSSH_9.2\r\n\r\n")), "is it an HTTP proxy?"));
  EXPECT_TRUE(has(refused([](net::tcp_stream& s, int) { return flood(s); }), "bytes of header"));
  EXPECT_TRUE(
      has(refused(answering("HTTP/1.1 200 OK\r\n\r\nalready talking")), "nobody had asked"));
  EXPECT_TRUE(
      has(refused(answering("HTTP/1.1 200 OK\r\n\r\n")), "another error"));  // TLS: no server
}

plait::task<> answer_socks(net::tcp_stream& client, std::vector<std::string> answers) {
  std::array<char, 512> buffer{};
  for (const auto& text : answers) {
    if (co_await client.read_some(buffer) == 0) co_return;
    co_await client.write_all(text);
  }
}
std::string socks_refused(std::vector<std::string> answers, const std::string& scheme = "socks5h") {
  return refused([=](net::tcp_stream& s, int) { return answer_socks(s, answers); }, scheme);
}
TEST(Proxy, SocksRepliesAreSaidInWords) {
  const std::pair<char, const char*> replies[] = {{1, "something is wrong with the proxy"},
                                                  {2, "rules do not allow"},
                                                  {3, "network cannot be reached"},
                                                  {4, "host cannot be reached"},
                                                  {5, "refused"},
                                                  {6, "TTL"},
                                                  {7, "command"},
                                                  {8, "kind of address"},
                                                  {77, "77"}};
  for (const auto& [code, words] : replies) {
    const std::string said = socks_refused({"\5\0"s, "\5"s + code + "\0\1\0\0\0\0\0\0"s});
    EXPECT_TRUE(has(said, words)) << said;
  }
  EXPECT_TRUE(has(socks_refused({"HTTP/1.1 400 Bad\r\n\r\n"}), "is it a SOCKS proxy?"));
  EXPECT_TRUE(has(socks_refused({"\5\xff"s}), "407 "));
  EXPECT_TRUE(has(socks_refused({"\5\2"s}), "not offered"));
  EXPECT_TRUE(has(socks_refused({"\5\2"s, "\1\1"s}, "socks5h://me:pw@"), "does not accept our"));
  EXPECT_TRUE(has(socks_refused({"\5\0"s, "\5\0\0\7"s}), "unknown kind of address"));
  EXPECT_TRUE(has(socks_refused({"\5\0"s, "\5\0\0\3\377ab"s}), "middle of its answer"));
  EXPECT_TRUE(has(socks_refused({""}), "middle of its answer"));
}

plait::task<> hold(net::tcp_stream& client) {
  std::array<char, 512> buffer{};
  while (co_await client.read_some(buffer) != 0) {
  }
}
TEST(Proxy, OneThatNeverAnswersCountsAsConnecting) {
  const std::string said = refused([](net::tcp_stream& s, int) { return hold(s); }, "http",
                                   "https://origin.test/", {.timeouts = {.connect = 20ms}});
  EXPECT_TRUE(has(said, "no connection to origin.test within")) << said;
}

plait::task<bool> cancelled(plait::future<http::response> of) {
  try {
    co_await of;
  } catch (const plait::cancelled_error&) {
    co_return true;
  }
  co_return false;
}

// Says the first n pieces of a conversation and then nothing.
plait::task<> stall_after(net::tcp_stream& client, std::vector<std::string> pieces,
                          plait::event& stalled) {
  std::array<char, 512> buffer{};
  for (const auto& text : pieces) {
    co_await client.read_some(buffer);
    co_await client.write_all(text);
  }
  co_await client.read_some(buffer);
  stalled.set();
  co_await hold(client);
}
TEST(Proxy, AStopAtAnyStepLeavesNothingBehind) {
  const std::vector<std::string> said{"\5\2"s, "\1\0"s};
  for (const std::string kind : {"http", "socks5h"}) {
    for (std::size_t n = 0; n <= (kind == "http" ? 0u : said.size()); ++n) {
      const int before = open_descriptors();
      plait::event stalled;
      const std::vector<std::string> some(said.begin(), said.begin() + static_cast<long>(n));
      plait::run(
          with_rude_server([&](net::tcp_stream& s, int) { return stall_after(s, some, stalled); },
                           [&](std::string by) -> plait::task<> {
                             http::client_session session(
                                 {.proxy = kind + "://u:p@" + by.substr(by.rfind('/') + 1)});
                             auto fetching = plait::spawn(session.get("https://origin.test/"));
                             co_await stalled.wait();
                             fetching.cancel();
                             EXPECT_TRUE(co_await cancelled(fetching));
                             EXPECT_EQ(session.idle_connections(), 0u);
                           }));
      EXPECT_EQ(open_descriptors(), before) << kind << " " << n;
    }
  }
}

TEST(Proxy, AnUnreachableOneIsNamed) {
  http::client_session session({.proxy = "127.0.0.1:1"});
  try {
    plait::run(session.get("http://origin.test/"));
    FAIL();
  } catch (const http::proxy_error& error) {
    EXPECT_TRUE(has(error.what(), "http://127.0.0.1:1 cannot be reached")) << error.what();
    EXPECT_EQ(error.code(), std::errc::connection_refused);
  }
}

TEST(Proxy, WhatCannotBeReadIsRefusedWithoutTellingThePassword) {
  for (const char* text : {"ftp://h", "http://", "http://me:secret@h:x", "http://h/path",
                           "socks4://h", "https://h:443"}) {
    try {
      http::client_session session({.proxy = text});
      FAIL() << text;
    } catch (const http::invalid_url& error) {
      EXPECT_FALSE(has(error.what(), "secret")) << error.what();
      EXPECT_TRUE(has(error.what(), "client_options::proxy")) << error.what();
    }
  }
  const auto read = http::proxy::parse("socks5://a:b%3Ac@[::1]", "here");
  EXPECT_EQ(read.name(), "socks5://[::1]:1080");
  EXPECT_EQ(read.password, "b:c");
  EXPECT_EQ(http::proxy::parse("proxy.test:3128", "here").name(), "http://proxy.test:3128");
}

TEST(Proxy, ExceptionsAreNamesAddressesAndNetworks) {
  http::proxy_exceptions some;
  some.add(
      "Example.org, .internal  "
      "10.0.0.0/8,192.168.1.7,host.test:8080,[fd00::1]:80,fe80::/10,*.wild");
  for (const char* direct :
       {"http://example.org/", "https://a.b.example.org/", "http://internal/", "http://x.internal/",
        "http://10.1.2.3/", "http://192.168.1.7:99/", "http://host.test:8080/", "http://[fd00::1]/",
        "http://[febf::1]/", "http://example.org./", "http://a.wild/"})
    EXPECT_TRUE(some.contains(http::url(direct))) << direct;
  for (const char* by_proxy : {"http://notexample.org/", "http://example.org.evil/",
                               "http://11.0.0.1/", "http://host.test/", "http://192.168.1.70/",
                               "http://[fd00::1]:81/", "http://[fec0::1]/", "http://internal.org/"})
    EXPECT_FALSE(some.contains(http::url(by_proxy))) << by_proxy;
  some.add("*");
  EXPECT_TRUE(some.contains(http::url("http://anything/")));
}

class environment {
 public:
  void set(const char* name, const char* value) {
    setenv(name, value, 1);
    names_.push_back(name);
  }
  ~environment() {
    for (const char* name : names_) unsetenv(name);
  }

 private:
  std::vector<const char*> names_;
};

std::string chosen(const http::proxy_rules& rules, const char* to) {
  const auto* by = rules.find(http::url(to));
  return by == nullptr ? "direct" : by->name();
}

TEST(Proxy, TheEnvironmentSaysIfTheOptionsDoNot) {
  environment set;
  for (const char* none : {"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy",
                           "ALL_PROXY", "no_proxy", "NO_PROXY", "REQUEST_METHOD"})
    unsetenv(none);
  EXPECT_EQ(chosen({"", ""}, "http://a.test/"), "direct");
  set.set("HTTP_PROXY", "upper.test");
  EXPECT_EQ(chosen({"", ""}, "http://a.test/"), "http://upper.test:80");
  EXPECT_EQ(chosen({"", ""}, "https://a.test/"), "direct");
  set.set("http_proxy", "http://lower.test:1");
  set.set("ALL_PROXY", "socks5h://all.test");
  set.set("no_proxy", "b.test,10.0.0.0/8");
  EXPECT_EQ(chosen({"", ""}, "http://a.test/"), "http://lower.test:1");
  EXPECT_EQ(chosen({"", ""}, "https://a.test/"), "socks5h://all.test:1080");
  EXPECT_EQ(chosen({"", ""}, "http://x.b.test/"), "direct");
  EXPECT_EQ(chosen({"", "a.test"}, "http://a.test/"), "direct");
  for (const char* own : {"http://localhost:8080/", "http://127.0.0.1/", "http://[::1]:3000/"})
    EXPECT_EQ(chosen({"", ""}, own), "direct") << own;
  // The options win: an explicit proxy is for everything but the options' own exceptions.
  EXPECT_EQ(chosen({"own.test:9", ""}, "http://b.test/"), "http://own.test:9");
  EXPECT_EQ(chosen({"own.test:9", ""}, "http://127.0.0.1/"), "http://own.test:9");
  EXPECT_EQ(chosen({"direct", ""}, "http://a.test/"), "direct");
  unsetenv("http_proxy");
  unsetenv("ALL_PROXY");
  set.set("REQUEST_METHOD", "GET");  // a CGI program: HTTP_PROXY is a field of the request
  EXPECT_EQ(chosen({"", ""}, "http://a.test/"), "direct");
}

}  // namespace

// Routes, bodies that stream in and out, events, strict framing, TLS, and limits of the server.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <string>
#include <vector>

#include "../net/test_authority.hpp"
#include "plait/http/event_stream.hpp"
#include "plait/http/router.hpp"
#include "plait/http/streamed.hpp"
#include "plait/net/tls.hpp"
#include "plait/testing/unhandled_recorder.hpp"
#include "servers.hpp"

namespace {

using namespace std::chrono_literals;
namespace http = plait::http;
using plait::net::tcp_stream;

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

http::response text(std::string content) {
  http::response answer;
  answer.content = std::move(content);
  return answer;
}

http::response answer_of(const http::router& routes, const char* method, const char* target) {
  http::request asked;
  asked.method = method;
  asked.target = target;
  return plait::run(routes(std::move(asked)));
}

// Says which pattern answered, and with what.
auto named(std::string name) {
  return [name](const http::request& r) {
    std::string all = name;
    for (const auto& value : r.path_parameters) all += "|" + value;
    return text(all);
  };
}

TEST(Router, TheMostSpecificPatternAnswersWhereverItWasAdded) {
  http::router routes;
  routes.get("/{rest...}", named("rest"));
  routes.get("/users/{id}", named("user"));
  routes.get("/users/me", named("me"));
  routes.get("/users/{id}/posts/{n}", named("post"));
  routes.get("/users/me/x", named("x"));
  EXPECT_EQ(answer_of(routes, "GET", "/users/me").content, "me");
  EXPECT_EQ(answer_of(routes, "GET", "/users/7?q=1").content, "user|7");
  EXPECT_EQ(answer_of(routes, "GET", "/users/me/posts/3").content, "post|me|3");
  EXPECT_EQ(answer_of(routes, "GET", "/users/a%2Fb").content, "user|a/b");
  EXPECT_EQ(answer_of(routes, "GET", "/users//posts/1").content, "rest|users//posts/1");
  EXPECT_EQ(answer_of(routes, "GET", "/").content, "rest|");
  EXPECT_EQ(answer_of(routes, "GET", "http://host:80/users/me").content, "me");
}

TEST(Router, PatternsThatCannotBeReadOrConflictAreRefused) {
  http::router routes;
  for (const char* bad :
       {"", "users", "/{", "/{}", "/a{b}", "/{a}/{a}", "/{a...}/b", "/{a b}", "/x?y"})
    EXPECT_THROW(routes.get(bad, named("")), http::invalid_route) << bad;
  routes.get("/{a}/x", named(""));
  EXPECT_THROW(routes.get("/{b}/x", named("")), http::invalid_route);
  routes.post("/{b}/x", named(""));
}

TEST(Router, MethodsHeadOptionsAndSlashes) {
  http::router routes;
  routes.get("/a", named("get")).post("/a", named("post")).get("/dir/", named("dir"));
  EXPECT_EQ(answer_of(routes, "HEAD", "/a").content, "get");
  const auto options = answer_of(routes, "OPTIONS", "/a");
  EXPECT_EQ(options.status_code, 204);
  EXPECT_EQ(options.headers.get("Allow"), "GET, HEAD, OPTIONS, POST");
  const auto wrong = answer_of(routes, "PUT", "/a");
  EXPECT_EQ(wrong.status_code, 405);
  EXPECT_EQ(wrong.headers.get("Allow"), "GET, HEAD, OPTIONS, POST");
  EXPECT_EQ(answer_of(routes, "GET", "/b").status_code, 404);
  const auto moved = answer_of(routes, "GET", "/dir?x=1");
  EXPECT_EQ(moved.status_code, 308);
  EXPECT_EQ(moved.headers.get("Location"), "/dir/?x=1");
  EXPECT_EQ(answer_of(routes, "GET", "/a/").headers.get("Location"), "/a");
  http::router open;
  open.get("/{a}/{b}", named(""));
  EXPECT_EQ(answer_of(open, "GET", "//evil.test/x/").status_code, 404)
      << "no way to another server";
}

TEST(Router, ParametersAreNumbersOrThereIsNoSuchPage) {
  http::router routes;
  routes.get("/{n}", [](const http::request& r) {
    return text(std::to_string(r.path_parameter<signed char>("n")) + r.path_parameter("n"));
  });
  EXPECT_EQ(answer_of(routes, "GET", "/-128").content, "-128-128");
  for (const char* bad : {"/128", "/-129", "/1x", "/x", "/+1", "/%201", "/99999999999999999999"}) {
    try {
      answer_of(routes, "GET", bad);
      ADD_FAILURE() << bad;
    } catch (const http::refusal& said) {
      EXPECT_EQ(said.answer().status_code, 404);
    }
  }
}

TEST(Router, MiddlewareSurroundsAndErrorsBecomeAnswers) {
  http::router inner;
  inner.get("/x", [](const http::request&) -> http::response { throw std::runtime_error("x"); });
  inner.use([](http::request r, const http::router::handler& next) -> plait::task<http::response> {
    auto answer = co_await next(std::move(r));
    answer.content += " inner";
    co_return answer;
  });
  inner.on_error([](const std::exception_ptr&) { return std::optional(text("caught")); });
  http::router routes;
  routes.mount("/api", std::move(inner));
  routes.get("/y", named("y"));
  routes.use([](http::request r, const http::router::handler& next) -> plait::task<http::response> {
    if (r.target == "/secret") co_return http::refusal(401).answer();
    auto answer = co_await next(std::move(r));
    answer.content += " outer";
    co_return answer;
  });
  EXPECT_EQ(answer_of(routes, "GET", "/api/x").content, "caught outer");
  EXPECT_EQ(answer_of(routes, "GET", "/y").content, "y outer");
  EXPECT_EQ(answer_of(routes, "GET", "/secret").status_code, 401);
}

// Everything that a server with these routes sends back for `bytes`.
std::string raw(http::router routes, std::string bytes, http::server_options options = {}) {
  options.drain = plait::duration::zero();
  options.read_timeout = std::min<plait::duration>(options.read_timeout, 2s);
  std::string all;
  struct talk {
    static plait::task<> with(http::server& server, std::string said, std::string& heard) {
      auto serving = plait::spawn(server.serve());
      auto stream = co_await tcp_stream::connect("127.0.0.1", server.port());
      co_await stream.write_all(said);
      try {
        std::array<char, 4096> buffer{};
        while (const std::size_t got = co_await stream.read_some(buffer))
          heard.append(buffer.data(), got);
      } catch (const plait::net::connection_closed&) {
        heard += "RESET";
      }
      co_await ended(std::move(serving));
    }
  };
  http::server server(std::move(options), std::move(routes));
  plait::run(talk::with(server, std::move(bytes), all));
  return all;
}

http::router echo_routes() {
  http::router routes;
  routes.any("/{all...}", [](const http::request& r) { return text("[" + r.content + "]"); });
  return routes;
}

TEST(Server, WhatOthersMightReadDifferentlyIsRefused) {
  const std::string host = "Host: h\r\n", get = "GET / HTTP/1.1\r\n", post = "POST / HTTP/1.1\r\n";
  const std::string chunked = "Transfer-Encoding: chunked\r\n", end = "\r\n";
  for (const std::string& bytes :
       {get + end, get + host + host + end, post + host + chunked + "Content-Length: 3\r\n\r\nabc",
        post + host + "Content-Length: 3\r\n" + chunked + "\r\nabc",
        post + host + "Content-Length: -1\r\n\r\n", post + host + "Content-Length: +1\r\n\r\n",
        post + host + "Content-Length : 1\r\n\r\na", get + "Host : h\r\n\r\n",
        post + host + chunked + "\r\nzz\r\n", post + host + chunked + "\r\n-1\r\n\r\n",
        post + host + chunked + "\r\nfffffffffffffffff\r\n",
        post + host + chunked + "\r\n2\r\nabcd\r\n0\r\n\r\n",
        std::string("POST / HTTP/1.0\r\n") + chunked + "\r\n0\r\n\r\n"})
    EXPECT_TRUE(raw(echo_routes(), bytes).starts_with("HTTP/1.1 400 ")) << bytes;
  for (const char* coding : {"gzip", "chunked, gzip", "identity"})
    EXPECT_TRUE(raw(echo_routes(), post + host + "Transfer-Encoding: " + coding + "\r\n\r\n")
                    .starts_with("HTTP/1.1 501 "))
        << coding;
}

TEST(Server, TrailersCountForNothingAndAreLimited) {
  const std::string head =
      "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
  http::router routes;
  routes.any("/", [](const http::request& r) {
    return text(r.content + std::string(r.headers.get("X")) + std::to_string(r.headers.size()));
  });
  EXPECT_TRUE(raw(std::move(routes), head + "2;e=f\r\nab\r\n0\r\nX: y\r\nHost: other\r\n\r\n")
                  .ends_with("ab3"));
  const auto flood = raw(echo_routes(), head + "0\r\nX: " + std::string(300'000, 'x'));
  EXPECT_TRUE(flood.starts_with("HTTP/1.1 4")) << flood;
}

TEST(Server, StreamsABodyOutInChunksAndToTheEndForHttp10) {
  const auto routes = [] {
    http::router r;
    r.get("/", [](const http::request&) {
      return http::streamed("text/plain", [](http::body_writer& out) -> plait::task<> {
        co_await out.write("one");
        co_await plait::sleep(0ms);
        co_await out.write(std::string(17'000, 'x'));
      });
    });
    return r;
  };
  const auto chunked = raw(routes(), "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(has(chunked, "Transfer-Encoding: chunked\r\n")) << chunked;
  EXPECT_TRUE(has(chunked, "\r\n\r\n3\r\none\r\n4268\r\nxxx"));
  EXPECT_TRUE(chunked.ends_with("x\r\n0\r\n\r\n"));
  const auto old = raw(routes(), "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_TRUE(has(old, "Connection: close\r\n\r\nonexxx"));
  EXPECT_TRUE(raw(routes(), "HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
                  .ends_with("\r\n\r\n"));
  const auto two = raw(
      routes(),
      "GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(has(two, "0\r\n\r\nHTTP/1.1 200 OK\r\n"));
}

TEST(Server, ABodyThatFailsHalfwayCutsTheConnection) {
  const plait::testing::unhandled_recorder recorder;
  http::router routes;
  routes.get("/", [](const http::request&) {
    return http::streamed("text/plain", [](http::body_writer& out) -> plait::task<> {
      co_await out.write("half");
      throw std::runtime_error("no more");
    });
  });
  const auto heard = raw(std::move(routes), "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_FALSE(has(heard, "0\r\n\r\n"));
  EXPECT_TRUE(heard.ends_with("RESET")) << heard;
  ASSERT_EQ(recorder.count(), 1u);
  EXPECT_EQ(recorder.entries()[0].message, "no more");
}

// The producer waits for something that never comes: only the client's leaving can end it.
TEST(Server, AClientThatLeavesStopsTheProducer) {
  plait::event begun, stopped, never;
  http::router routes;
  routes.get("/", [&](const http::request&) {
    return http::streamed("text/plain", [&](http::body_writer&) -> plait::task<> {
      struct tell {
        plait::event& of;
        ~tell() { of.set(); }
      } at_end{stopped};
      begun.set();
      co_await never.wait();
    });
  });
  http::server server({.drain = plait::duration::zero()}, std::move(routes));
  struct visit {
    static plait::task<> leave(http::server& server, plait::event& begun, plait::event& stopped) {
      auto serving = plait::spawn(server.serve());
      auto stream = co_await tcp_stream::connect("127.0.0.1", server.port());
      co_await stream.write_all("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
      co_await begun.wait();
      stream.close();
      co_await stopped.wait();
      co_await ended(std::move(serving));
    }
  };
  plait::run(visit::leave(server, begun, stopped));
}

TEST(ServerEvents, AreWrittenAsTheStandardSays) {
  using http::server_event;
  EXPECT_EQ(server_event("a\nb\r\nc\rd").text(), "data: a\ndata: b\ndata: c\ndata: d\n\n");
  EXPECT_EQ(server_event("").text(), "data: \n\n");
  EXPECT_EQ(server_event("x").with_event("news").with_id("7").with_retry(1500ms).text(),
            "event: news\nid: 7\nretry: 1500\ndata: x\n\n");
  EXPECT_THROW(server_event("x").with_id("7\n8"), http::invalid_header);
  EXPECT_THROW(server_event("x").with_event("a\rb"), http::invalid_header);
  EXPECT_THROW(server_event("x").with_id(std::string("a\0b", 3)), http::invalid_header);
}

TEST(ServerEvents, ArriveAndHaveAHeartbeat) {
  http::router routes;
  routes.get("/", [](const http::request& r) {
    const std::string last(http::last_event_id(r));
    return http::event_stream(
        [last](http::event_sender& to) -> plait::task<> {
          co_await to.send(http::server_event("after " + last));
          co_await plait::sleep(30ms);
          co_await to.comment("bye");
        },
        {.heartbeat = 5ms});
  });
  const auto heard =
      raw(std::move(routes),
          "GET / HTTP/1.1\r\nHost: h\r\nLast-Event-ID: 41\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(has(heard, "Content-Type: text/event-stream\r\n"));
  EXPECT_TRUE(has(heard, "data: after 41\n\n"));
  EXPECT_TRUE(has(heard, "3\r\n:\n\n\r\n"));
  EXPECT_TRUE(has(heard, ": bye\n\n"));
  EXPECT_TRUE(heard.ends_with("0\r\n\r\n"));
}

plait::task<http::response> count_body(http::request asked) {
  std::size_t bytes = 0, pieces = 0;
  for (;;) {
    const std::string piece = co_await asked.body->read_some();
    if (piece.empty()) break;
    bytes += piece.size();
    ++pieces;
  }
  co_return text(std::to_string(bytes) + (pieces > 1 ? " in pieces" : " at once"));
}
http::router counting() {
  http::router routes;
  routes.post("/", count_body, {.body = http::body_mode::streamed, .max_body_bytes = 3'000'000});
  routes.post("/ignore", [](const http::request&) { return text("no, thanks"); },
              {.body = http::body_mode::streamed});
  return routes;
}

TEST(Server, StreamsABodyInBeyondItsOwnLimitIfTheRouteAllows) {
  const std::string head = "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n";
  const http::server_options small{.max_body_bytes = 10};
  EXPECT_TRUE(
      raw(counting(), head + "Content-Length: 1000000\r\n\r\n" + std::string(1'000'000, 'x'), small)
          .ends_with("1000000 in pieces"));
  EXPECT_TRUE(
      raw(counting(), head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", small)
          .ends_with("3 at once"));
  EXPECT_TRUE(
      raw(counting(), head + "Content-Length: 3000001\r\n\r\n").starts_with("HTTP/1.1 413 "));
  EXPECT_TRUE(raw(counting(), head + "Transfer-Encoding: chunked\r\n\r\n2dc6c1\r\n" +
                                  std::string(3'000'001, 'x'))
                  .starts_with("HTTP/1.1 413 "));
  EXPECT_TRUE(raw(counting(), head + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n")
                  .starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(raw(counting(), head + "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n12345")
                  .ends_with("5 at once"));
}

TEST(Server, ABodyThatNobodyReadEndsTheConnectionAfterTheAnswer) {
  const auto heard =
      raw(counting(), "POST /ignore HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n" +
                          std::string(100'000, 'x') + "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_TRUE(has(heard, "Connection: close\r\n")) << heard;
  EXPECT_TRUE(heard.ends_with("no, thanks")) << heard;
}

TEST(Server, ASlowBodyIsToldThatItIsLate) {
  const std::string head = " HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab";
  const http::server_options hasty{.read_timeout = 20ms};
  EXPECT_TRUE(raw(echo_routes(), "POST /" + head, hasty).starts_with("HTTP/1.1 408 "));
  EXPECT_TRUE(raw(counting(), "POST /" + head, hasty).starts_with("HTTP/1.1 408 "));
}

TEST(Server, ARefusalThatAHandlerThrowsIsTheAnswer) {
  http::router routes;
  routes.get("/{n}", [](const http::request& r) {
    return text(std::to_string(r.path_parameter<int>("n")));
  });
  const auto heard =
      raw(std::move(routes), "GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(heard.starts_with("HTTP/1.1 404 Not Found\r\n"));
  EXPECT_TRUE(heard.ends_with("{n} must be a whole number.\n")) << heard;
}

TEST(Server, RequestsOfOneConnectionCanBeLimitedAndAreLogged) {
  std::vector<std::string> log;
  const std::string get = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
  const auto heard =
      raw(echo_routes(), get + get + get,
          {.max_requests_per_connection = 2, .on_answered = [&](const http::answered_request& a) {
             log.push_back(std::string(a.method) + " " + std::string(a.target) + " " +
                           std::to_string(a.status_code));
             EXPECT_GT(a.bytes_sent, 50u);
             EXPECT_EQ(a.peer.address(), "127.0.0.1");
           }});
  EXPECT_EQ(log, (std::vector<std::string>{"GET /a 200", "GET /a 200"}));
  EXPECT_TRUE(has(heard, "Connection: close\r\n"));
}

plait::task<> visit_twice(http::server& server) {
  auto serving = plait::spawn(server.serve());
  {
    auto first = co_await tcp_stream::connect("127.0.0.1", server.port());
    co_await first.write_all("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    co_await read_head(first);
    auto second = co_await tcp_stream::connect("127.0.0.1", server.port());
    std::string heard = "?";
    try {
      heard = co_await read_to_end(second);
    } catch (const plait::net::connection_closed&) {
      heard.clear();
    }
    EXPECT_EQ(heard, "");
    EXPECT_EQ(server.statistics().turned_away, 1u);
    co_await first.write_all("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    co_await read_to_end(first);
  }
  auto third = co_await tcp_stream::connect("127.0.0.1", server.port());
  co_await third.write_all("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  const auto heard = co_await read_to_end(third);
  EXPECT_TRUE(heard.starts_with("HTTP/1.1 200 "));
  co_await ended(std::move(serving));
}
TEST(Server, OneAddressMayBeLimited) {
  http::server server({.max_connections_per_peer = 1, .drain = plait::duration::zero()},
                      echo_routes());
  plait::run(visit_twice(server));
}

// Takes nothing of a large answer: after write_timeout without progress it is disconnected.
plait::task<> take_nothing(http::server& server) {
  auto serving = plait::spawn(server.serve());
  auto stream = co_await tcp_stream::connect("127.0.0.1", server.port());
  co_await stream.write_all("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  while (server.statistics().accepted == 0 || server.statistics().connections != 0)
    co_await plait::sleep(1ms);
  co_await ended(std::move(serving));
}
TEST(Server, ASlowReaderIsDisconnected) {
  http::router routes;
  const std::string large(20'000'000, 'l');
  routes.get("/", [&](const http::request&) { return text(large); });
  http::server server({.write_timeout = 20ms, .drain = plait::duration::zero()}, std::move(routes));
  plait::run(take_nothing(server));
}

plait::task<> over_tls(const test_authority& authority) {
  const auto who = authority.issue();
  http::router routes;
  routes.get("/", [](const http::request&) { return text(std::string(300'000, 's')); });
  routes.get("/stream", [](const http::request&) {
    return http::streamed("text/plain", [](http::body_writer& out) -> plait::task<> {
      for (int i = 0; i < 10; ++i) co_await out.write(std::string(20'000, 't'));
    });
  });
  routes.post("/", count_body, {.body = http::body_mode::streamed});
  http::server server(
      {.drain = plait::duration::zero(),
       .tls = plait::net::tls_server_options{.certificate = who.certificate, .key = who.key}},
      std::move(routes));
  auto serving = plait::spawn(server.serve());
  const std::string url = "https://localhost:" + std::to_string(server.port());
  EXPECT_TRUE(server.url().starts_with("https://"));
  {
    http::client_session session({.tls = {.ca = authority.pem()}});
    for (int i = 0; i < 2; ++i) {
      const auto answer = co_await session.get(url + "/");
      EXPECT_EQ(answer.content.size(), 300'000u);
    }
    const auto streamed = co_await session.get(url + "/stream");
    EXPECT_EQ(streamed.content.size(), 200'000u);
    const auto counted = co_await session.post(
        url + "/", http::request_options().with_content(std::string(500'000, 'u')));
    EXPECT_TRUE(has(counted.content, "500000"));
    EXPECT_EQ(session.idle_connections(), 1u);
  }
  // Who speaks something else costs its connection.
  auto wrong = co_await tcp_stream::connect("127.0.0.1", server.port());
  co_await wrong.write_all("GET / HTTP/1.1\r\n\r\n");
  while (server.statistics().handshakes_failed < 1) co_await plait::sleep(1ms);
  const auto renewed = authority.issue();
  server.renew_certificate({.certificate = renewed.certificate, .key = renewed.key});
  EXPECT_THROW(server.renew_certificate({.certificate = "no such file", .key = "none"}),
               plait::net::tls_error);
  http::client_session later({.tls = {.ca = authority.pem()}});
  const auto answer = co_await later.get(url + "/");
  EXPECT_EQ(answer.status_code, 200);
  co_await ended(std::move(serving));
}
plait::task<> say_nothing(http::server& server) {
  auto serving = plait::spawn(server.serve());
  auto silent = co_await tcp_stream::connect("127.0.0.1", server.port());
  while (server.statistics().handshakes_failed < 1) co_await plait::sleep(1ms);
  co_await ended(std::move(serving));
}
TEST(Server, WhoDoesNotShakeHandsInTimeIsDisconnected) {
  const auto who = test_authority().issue();
  http::server server(
      {.drain = plait::duration::zero(),
       .tls = plait::net::tls_server_options{.certificate = who.certificate, .key = who.key},
       .handshake_timeout = 20ms},
      echo_routes());
  plait::run(say_nothing(server));
}

TEST(Server, SpeaksTlsAndSurvivesWhoDoesNot) {
  const test_authority authority;
  plait::run(over_tls(authority));
}

}  // namespace

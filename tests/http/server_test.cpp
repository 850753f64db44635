#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <string>

#include "plait/testing/unhandled_recorder.hpp"
#include "plait/testing/virtual_clock.hpp"
#include "servers.hpp"

namespace {

using namespace std::chrono_literals;
namespace http = plait::http;
using plait::net::tcp_stream;

plait::task<http::response> echo(http::request asked) {
  co_return http::response{.content = asked.method + asked.target + asked.content};
}

plait::task<tcp_stream> connected(const std::string& url) {
  const http::url to(url);
  co_return co_await tcp_stream::connect(to.host(), to.port());
}

// Everything that comes back for `bytes`, until the server closes.
plait::task<std::string> raw(const std::string& url, std::string bytes) {
  auto stream = co_await connected(url);
  co_await stream.write_all(bytes);
  co_return co_await read_to_end(stream);
}

std::string answers_to(std::string bytes, http::server_options options = {},
                       http::server::handler handler = echo) {
  std::string all;
  run_with_server(
      std::move(handler), [&](std::string url) -> plait::task<> { all = co_await raw(url, bytes); },
      std::move(options));
  return all;
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}
std::size_t count(const std::string& text, std::string_view part) {
  std::size_t n = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

TEST(Server, AnswersInHttp11WithDateAndLength) {
  const auto answer = answers_to("GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\nDate: ")) << answer;
  EXPECT_TRUE(has(answer, " GMT\r\n"));
  EXPECT_TRUE(has(answer, "Content-Length: 5\r\nConnection: close\r\n\r\nGET/a")) << answer;
}

TEST(Server, PipelinedRequestsAreAnsweredInOrder) {
  std::string bytes;
  for (int i = 0; i < 200; ++i)
    bytes += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: h\r\n\r\n";
  bytes += "GET /end HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
  const auto all = answers_to(bytes);
  EXPECT_EQ(count(all, "HTTP/1.1 200 OK"), 201u);
  EXPECT_LT(all.find("GET/7"), all.find("GET/8"));
  EXPECT_TRUE(all.ends_with("GET/end"));
}

TEST(Server, Http10ClosesUnlessAskedNotTo) {
  EXPECT_TRUE(has(answers_to("GET / HTTP/1.0\r\n\r\n"), "Connection: close"));
  const auto kept =
      answers_to("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(count(kept, "HTTP/1.1 200 OK"), 2u);
}

TEST(Server, BodiesOfBothFramings) {
  EXPECT_TRUE(
      answers_to("POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc")
          .ends_with("POST/abc"));
  EXPECT_TRUE(answers_to("POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
                         "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
                  .ends_with("POST/abc"));
}

TEST(Server, SaysContinueToAClientThatWaitsForIt) {
  run_with_server(echo, [](std::string url) -> plait::task<> {
    auto stream = co_await connected(url);
    co_await stream.write_all(
        "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n"
        "Connection: close\r\n\r\n");
    const auto go_on = co_await read_head(stream);
    EXPECT_EQ(go_on, "HTTP/1.1 100 Continue\r\n\r\n");
    co_await stream.write_all("ok");
    const auto answer = co_await read_to_end(stream);
    EXPECT_TRUE(answer.ends_with("POST/ok")) << answer;
  });
}

TEST(Server, HeadHasTheLengthAndNoBody) {
  const auto answer = answers_to("HEAD /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(has(answer, "Content-Length: 6\r\n"));
  EXPECT_TRUE(answer.ends_with("\r\n\r\n"));
}

TEST(Server, WhatIsNoRequestIsRefusedAndTheConnectionClosed) {
  for (const char* bytes : {"nonsense\r\n\r\n", "GET / HTTP/3.0\r\n\r\n", "GET  / HTTP/1.1\r\n\r\n",
                            "GET / HTTP/1.1\r\nNo colon\r\n\r\n", "\x16\x03\x01\r\n\r\n",
                            "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
                            "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"})
    EXPECT_TRUE(answers_to(bytes).starts_with("HTTP/1.1 400 Bad Request\r\n")) << bytes;
}

TEST(Server, LimitsAreAnsweredWithTheirOwnCodes) {
  const auto long_header = answers_to("GET / HTTP/1.1\r\nX: " + std::string(3000, 'x') + "\r\n\r\n",
                                      {.max_header_bytes = 1000});
  EXPECT_TRUE(long_header.starts_with("HTTP/1.1 431 ")) << long_header;
  const auto long_body = answers_to("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n",
                                    {.max_body_bytes = 10});
  EXPECT_TRUE(long_body.starts_with("HTTP/1.1 413 ")) << long_body;
}

TEST(Server, AHandlerThatThrowsAnswers500AndIsHeardOf) {
  const plait::testing::unhandled_recorder recorder;
  const auto answer = answers_to(
      "GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", {},
      [](http::request) -> plait::task<http::response> { throw std::runtime_error("broken"); });
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 500 Internal Server Error"));
  EXPECT_FALSE(has(answer, "broken")) << "what went wrong is not the client's business";
  ASSERT_EQ(recorder.count(), 1u);
  EXPECT_EQ(recorder.entries()[0].message, "broken");
  EXPECT_TRUE(has(recorder.entries()[0].origin, "GET /x"));
}

TEST(Server, AHandlerCannotBreakTheFraming) {
  const auto answer = answers_to("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", {},
                                 [](http::request) -> plait::task<http::response> {
                                   http::response r{.reason = "Fine\r\nX: y", .content = "abc"};
                                   r.headers.add("content-length", "99");
                                   r.headers.add("Transfer-Encoding", "chunked");
                                   co_return r;
                                 });
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n"));
  EXPECT_EQ(count(answer, "ength:"), 1u);
  EXPECT_TRUE(has(answer, "Content-Length: 3\r\n"));
  EXPECT_FALSE(has(answer, "chunked"));
}

TEST(Server, LargeAnswersArriveWhole) {
  const std::string large(5'000'000, 'l');
  const auto answer = answers_to("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", {},
                                 [&](http::request) -> plait::task<http::response> {
                                   co_return http::response{.content = large};
                                 });
  EXPECT_TRUE(answer.ends_with("\r\n\r\n" + large));
}

TEST(Server, AnIdleConnectionIsClosedAndALateRequestTold) {
  EXPECT_EQ(answers_to("", {.idle_timeout = 20ms}), "");
  EXPECT_TRUE(answers_to("GET / HT", {.read_timeout = 20ms}).starts_with("HTTP/1.1 408 "));
}

TEST(Server, TheConnectionLimitMakesOthersWait) {
  run_with_server(
      echo,
      [](std::string url) -> plait::task<> {
        auto first = co_await connected(url);
        auto second = co_await connected(url);  // in the kernel's queue
        co_await second.write_all("GET /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        co_await plait::sleep(20ms);
        std::array<char, 10> buffer{};
        EXPECT_EQ(second.try_read(buffer), std::nullopt);
        first.close();
        const auto answer = co_await read_to_end(second);
        EXPECT_TRUE(answer.ends_with("GET/2"));
      },
      {.max_connections = 1});
}

// A client that kept its connections waited for a place that only it could free.
TEST(Server, AnIdleConnectionMakesRoomForOneThatWaits) {
  run_with_server(
      echo,
      [](std::string url) -> plait::task<> {
        auto first = co_await connected(url), second = co_await connected(url);
        std::array<char, 1000> buffer{};
        for (auto* one : {&first, &second}) {
          co_await one->write_all("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n");
          co_await one->read_some(buffer);
        }
        auto third = co_await connected(url);
        co_await third.write_all("GET /3 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        const auto answer = co_await read_to_end(third);
        EXPECT_TRUE(answer.ends_with("GET/3"));
        const auto nothing = co_await read_to_end(first);
        EXPECT_EQ(nothing, "") << "the longest idle";
        co_await second.write_all("GET /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        const auto again = co_await read_to_end(second);
        EXPECT_TRUE(again.ends_with("GET/2"));
      },
      {.max_connections = 2});
}

// Thirty at once on four places, each connection to be kept: who is answered while others wait is
// told Connection: close.
TEST(Server, AFullServerServesEverybody) {
  run_with_server(http::httpbin(),
                  [](std::string url) -> plait::task<> {
                    http::client_session session;
                    std::vector<plait::task<http::response>> gets;
                    for (int i = 0; i < 30; ++i) gets.push_back(session.get(url + "/delay/0.01"));
                    const auto responses = co_await plait::gather(std::move(gets));
                    EXPECT_EQ(responses.size(), 30u);
                  },
                  {.max_connections = 4});
}

plait::task<http::response> slow(http::request) {
  co_await plait::sleep(50ms);
  co_return http::response{.content = "done"};
}

plait::task<> stop_under_way(plait::duration drain, std::string expected) {
  http::server server({.drain = drain}, slow);
  auto serving = plait::spawn(server.serve());
  auto idle = co_await connected(server.url());
  auto busy = co_await connected(server.url());
  co_await busy.write_all("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  co_await plait::sleep(10ms);
  EXPECT_EQ(server.statistics().connections, 2u);
  serving.cancel();
  const auto nothing = co_await read_to_end(idle);
  EXPECT_EQ(nothing, "");
  const auto answer = co_await read_to_end(busy);
  EXPECT_TRUE(answer.ends_with(expected)) << answer;
  EXPECT_EQ(expected.empty(), answer.empty());
  co_await ended(serving);
  EXPECT_TRUE(serving.cancelled());
  bool refused = false;
  try {
    co_await connected("http://127.0.0.1:" + std::to_string(server.port()));
  } catch (const plait::net::connect_error&) {
    refused = true;
  }
  EXPECT_TRUE(refused);
}
TEST(Server, StoppedItAnswersWhatIsUnderWay) { plait::run(stop_under_way(5s, "done")); }
TEST(Server, StoppedItWaitsNoLongerThanDrain) { plait::run(stop_under_way(1ms, "")); }

TEST(Server, KnowsItsPortBeforeItServes) {
  const http::server server({}, echo);
  EXPECT_NE(server.port(), 0);
  EXPECT_EQ(server.url(), "http://127.0.0.1:" + std::to_string(server.port()));
  EXPECT_THROW(http::server({.port = server.port()}, echo), plait::net::listen_error);
}

}  // namespace

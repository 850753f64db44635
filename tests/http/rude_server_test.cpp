// Servers without manners: every one of them leads to an answer or an error that says what it did.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <chrono>
#include <string>

#include "servers.hpp"

namespace {

using namespace std::chrono_literals;
namespace http = plait::http;

constexpr const char* ok_head = "HTTP/1.1 200 OK\r\n";

// One GET of a server that behaves like `how`; the content, or "TYPE: text" of what was thrown.
std::string fetched_from(conduct how, http::client_options options = {}) {
  std::string result;
  plait::run(with_rude_server(std::move(how), [&](std::string url) -> plait::task<> {
    http::client_session session(options);
    try {
      const auto response = co_await session.get(url);
      result = std::to_string(response.status_code) + " " + response.content;
    } catch (const http::protocol_error& error) {
      result = std::string("protocol_error: ") + error.what();
    } catch (const http::connection_lost& error) {
      result = std::string("connection_lost: ") + error.what();
    } catch (const http::too_many_redirects& error) {
      result = std::string("too_many_redirects: ") + error.what();
    } catch (const plait::timeout_error& error) {
      result = std::string("timeout_error: ") + error.what();
    }
  }));
  return result;
}

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

plait::task<> drip(plait::net::tcp_stream& to, std::string text) {
  co_await read_head(to);
  for (const char& c : text) {
    co_await to.write_all({&c, 1});
    co_await plait::sleep(0ms);
  }
}
TEST(RudeServer, DripsItsBytes) {
  const std::string text = std::string(ok_head) + "A: b\r\nContent-Length: 5\r\n\r\nhello";
  EXPECT_EQ(fetched_from([&](plait::net::tcp_stream& s, int) { return drip(s, text); }),
            "200 hello");
  const std::string chunks =
      std::string(ok_head) +
      "Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nT: t\r\n\r\n";
  EXPECT_EQ(fetched_from([&](plait::net::tcp_stream& s, int) { return drip(s, chunks); }),
            "200 hello");
}

TEST(RudeServer, EndsTheBodyByClosing) {
  EXPECT_EQ(fetched_from(answering(std::string(ok_head) + "\r\nall of it")), "200 all of it");
  EXPECT_EQ(fetched_from(answering("HTTP/1.0 200 OK\r\n\r\nold")), "200 old");
  EXPECT_EQ(fetched_from(answering("HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok")), "200 ok");
}

TEST(RudeServer, AnnouncesBeforeItAnswers) {
  EXPECT_EQ(fetched_from(answering("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                                   "HTTP/1.1 100 Continue\r\n\r\n"
                                   "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")),
            "200 ok");
}

TEST(RudeServer, LiesAboutTheLength) {
  EXPECT_TRUE(
      has(fetched_from(answering(std::string(ok_head) + "Content-Length: 100\r\n\r\nshort")),
          "connection_lost: "));
  EXPECT_EQ(fetched_from(answering(std::string(ok_head) + "Content-Length: 2\r\n\r\nok and more")),
            "200 ok");
  for (const char* length : {"-1", "1x", "99999999999999999999", "2\r\nContent-Length: 3"})
    EXPECT_TRUE(has(
        fetched_from(answering(std::string(ok_head) + "Content-Length: " + length + "\r\n\r\nok")),
        "protocol_error: "))
        << length;
}

TEST(RudeServer, SaysNothingAndCloses) {
  EXPECT_TRUE(has(fetched_from(answering("")), "connection_lost: "));
  EXPECT_TRUE(has(fetched_from(answering("HTTP/1.1 20")), "connection_lost: "));
  EXPECT_TRUE(has(fetched_from(answering(std::string(ok_head) + "A: b\r\n")), "connection_lost: "));
}

TEST(RudeServer, SpeaksSomethingElse) {
  for (const char* garbage :
       {"220 smtp.example.org ESMTP\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n\r\n", "HTTP/2 200\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 abc OK\r\n\r\n", "\x16\x03\x01\x02\r\n\r\n",
        "HTTP/1.1 200 OK\r\nNo colon here\r\n\r\n", "HTTP/1.1 200 OK\r\nA b: c\r\n\r\n"})
    EXPECT_TRUE(has(fetched_from(answering(garbage)), "protocol_error: ")) << garbage;
  EXPECT_TRUE(
      has(fetched_from(answering("hello, I am a telnet server\r\n")), "is it a web server?"));
  EXPECT_TRUE(has(
      fetched_from(answering(std::string(ok_head) + "Transfer-Encoding: chunked\r\n\r\nzz\r\n")),
      "protocol_error: "));
}

TEST(RudeServer, FloodsTheHeader) {
  const std::string field = "X-Flood: " + std::string(1000, 'x') + "\r\n";
  std::string flood = ok_head;
  for (int i = 0; i < 100; ++i) flood += field;
  EXPECT_TRUE(has(fetched_from(answering(flood + "\r\n")), "max_header_bytes"));
  EXPECT_TRUE(has(fetched_from(answering(ok_head + ("X: " + std::string(100'000, 'y')))),
                  "max_header_bytes"));
  // A field at a time, so that no single look sees too much.
  const std::string dripped = fetched_from([&](plait::net::tcp_stream& s, int) -> plait::task<> {
    co_await read_head(s);
    co_await s.write_all(ok_head);
    for (int i = 0; i < 100; ++i) {
      co_await s.write_all(field);
      co_await plait::sleep(0ms);
    }
  });
  // On a loaded machine the connection has been seen to end before the limit was reached.
  EXPECT_TRUE(has(dripped, "max_header_bytes") || has(dripped, "connection_lost")) << dripped;
}

TEST(RudeServer, SendsMoreThanTheLimit) {
  const http::client_options small{.max_body_bytes = 10};
  const std::string body(11, 'b');
  EXPECT_TRUE(has(
      fetched_from(answering(std::string(ok_head) + "Content-Length: 11\r\n\r\n" + body), small),
      "max_body_bytes"));
  EXPECT_TRUE(
      has(fetched_from(answering(std::string(ok_head) + "\r\n" + body), small), "max_body_bytes"));
  EXPECT_TRUE(has(fetched_from(answering(std::string(ok_head) +
                                         "Transfer-Encoding: chunked\r\n\r\nb\r\n" + body + "\r\n"),
                               small),
                  "max_body_bytes"));
}

// A length of 2^60 is no reason to ask for so much memory.
TEST(RudeServer, AnnouncesAnAbsurdLength) {
  EXPECT_TRUE(has(
      fetched_from(answering(std::string(ok_head) + "Content-Length: 1152921504606846976\r\n\r\nx"),
                   {.max_body_bytes = UINT64_MAX}),
      "connection_lost: "));
}

TEST(RudeServer, NeverAnswers) {
  EXPECT_TRUE(has(fetched_from(
                      [](plait::net::tcp_stream& s, int) -> plait::task<> {
                        co_await read_head(s);
                        co_await plait::sleep(std::chrono::hours(1));
                      },
                      {.timeouts = {.total = 20ms}}),
                  "timeout_error: no complete response"));
}

TEST(RudeServer, StopsInTheMiddle) {
  EXPECT_TRUE(has(fetched_from(
                      [](plait::net::tcp_stream& s, int) -> plait::task<> {
                        co_await read_head(s);
                        co_await s.write_all("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
                        co_await plait::sleep(std::chrono::hours(1));
                      },
                      {.timeouts = {.total = 20ms}}),
                  "timeout_error: "));
}

TEST(RudeServer, RedirectsForEver) {
  EXPECT_TRUE(has(fetched_from(answering("HTTP/1.1 302 Found\r\nLocation: /again\r\n"
                                         "Content-Length: 0\r\nConnection: close\r\n\r\n")),
                  "too_many_redirects: gave up after 10 redirects"));
}

// Closes the kept connection at the very moment of the second request: repeated on a fresh one.
plait::task<> close_on_second(plait::net::tcp_stream& s, int n) {
  co_await read_head(s);
  co_await s.write_all("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + std::to_string(n));
  if (n == 0) co_await read_head(s);
}
TEST(RudeServer, ClosesTheKeptConnectionInOurFace) {
  plait::run(with_rude_server(close_on_second, [](std::string url) -> plait::task<> {
    http::client_session session;
    const auto first = co_await session.get(url);
    EXPECT_EQ(first.content, "0");
    EXPECT_EQ(session.idle_connections(), 1u);
    const auto second = co_await session.get(url);
    EXPECT_EQ(second.content, "1");
  }));
}
TEST(RudeServer, APostIsNotRepeatedBehindTheCallersBack) {
  plait::run(with_rude_server(close_on_second, [](std::string url) -> plait::task<> {
    http::client_session session;
    co_await session.get(url);
    bool lost = false;
    try {
      co_await session.request("POST", url);
    } catch (const http::connection_lost&) {
      lost = true;
    }
    EXPECT_TRUE(lost);
  }));
}

// What comes after a response belongs to nobody: the connection is not used again.
TEST(RudeServer, TalksOnAfterItsAnswer) {
  plait::run(with_rude_server(
      [](plait::net::tcp_stream& s, int n) -> plait::task<> {
        co_await read_head(s);
        co_await s.write_all("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + std::to_string(n) +
                             "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
        co_await read_head(s);
      },
      [](std::string url) -> plait::task<> {
        http::client_session session;
        const auto first = co_await session.get(url);
        const auto second = co_await session.get(url);
        EXPECT_EQ(first.content, "0");
        EXPECT_EQ(second.content, "1");
      }));
}

// 413 before the body has arrived, then the end: the answer counts, not the broken pipe.
TEST(RudeServer, AnswersBeforeItHasHeardEverything) {
  plait::run(with_rude_server(
      answering("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
      [](std::string url) -> plait::task<> {
        http::client_session session;
        try {
          const auto r = co_await session.request(
              "POST", url, http::request_options().with_content(std::string(5'000'000, 'p')));
          EXPECT_EQ(r.status_code, 413);
        } catch (const http::connection_lost&) {  // the reset overtook the answer: TCP allows it
        }
      }));
}

}  // namespace

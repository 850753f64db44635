// HTTP/2: many requests on one connection, and servers that break it in every way.
#include <gtest/gtest.h>

#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "../net/descriptor_count.hpp"
#include "../net/test_authority.hpp"
#include "http2_server.hpp"
#include "plait/net/tls.hpp"
#include "plait/testing/seed.hpp"

namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
namespace http = plait::http;
namespace net = plait::net;
using peer = http2_peer;

const http::client_options prior{.version = http::http_version::http2};

void answer_with_path(peer& server, const peer::request& asked) {
  server.respond(asked.id, "200", {{"x-number", std::to_string(server.number)}},
                 asked.fields.at(":path"));
}

plait::task<std::string> outcome(plait::task<http::response> asked) {
  try {
    const auto response = co_await std::move(asked);
    co_return std::to_string(response.status_code) + " " + response.content;
  } catch (const http::protocol_error& error) {
    co_return std::string("protocol_error: ") + error.what();
  } catch (const http::connection_lost& error) {
    co_return std::string("connection_lost: ") + error.what();
  } catch (const plait::timeout_error& error) {
    co_return std::string("timeout_error: ") + error.what();
  } catch (const plait::error& error) {
    co_return std::string("error: ") + error.what();
  }
}
bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

plait::task<> ended_early(plait::future<http::response> asked) {
  asked.cancel();
  try {
    co_await asked;
  } catch (const plait::cancelled_error&) {
  }
}

TEST(Http2, ManyRequestsShareOneConnection) {
  http2_log log;
  std::vector<std::int32_t> waiting;
  const auto when_all_are_there = [&](peer& server, const peer::request& asked) {
    waiting.push_back(asked.id);
    if (waiting.size() != 100) return;
    for (const auto id : waiting) server.respond(id, "200", {}, std::to_string(id));
  };
  run_with_http2({when_all_are_there}, log, [&](std::string url) -> plait::task<> {
    http::client_session session(prior);
    std::vector<plait::task<http::response>> gets;
    for (int i = 0; i < 100; ++i) gets.push_back(session.get(url + "/" + std::to_string(i)));
    const auto all = co_await plait::gather(std::move(gets));
    for (const auto& one : all) {
      EXPECT_EQ(one.status_code, 200);
      EXPECT_EQ(one.reason, "OK");
      EXPECT_EQ(one.version, http::http_version::http2);
    }
    EXPECT_EQ(session.idle_connections(), 1u);
  });
  EXPECT_EQ(log.connections, 1);
  EXPECT_EQ(log.most_at_once, 100u);
  EXPECT_TRUE(log.resets.empty());
}

TEST(Http2, TheServersLimitOnStreamsIsKept) {
  http2_log log;
  const std::vector<nghttp2_settings_entry> ten{{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 10}};
  for (const std::size_t limit : {1u, 0u}) {
    log = {};
    run_with_http2({answer_with_path, ten}, log, [&](std::string url) -> plait::task<> {
      http::client_session session({.limit_per_host = limit, .version = http::http_version::http2});
      co_await session.get(url + "/first");  // the limit is known
      std::vector<plait::task<http::response>> gets;
      for (int i = 0; i < 100; ++i) gets.push_back(session.get(url + "/" + std::to_string(i)));
      const auto all = co_await plait::gather(std::move(gets));
      for (std::size_t i = 0; i < all.size(); ++i)
        EXPECT_EQ(all[i].content, "/" + std::to_string(i));
    });
    EXPECT_LE(log.most_at_once, 10u);
    EXPECT_EQ(log.asked.size(), 101u);
    EXPECT_EQ(log.connections == 1, limit == 1);
  }
}

TEST(Http2, RequestsBeyondAnUnknownLimitAreAnsweredAllTheSame) {
  http2_log log;
  const std::vector<nghttp2_settings_entry> three{{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 3}};
  run_with_http2({answer_with_path, three}, log, [&](std::string url) -> plait::task<> {
    http::client_session session({.limit = 2, .version = http::http_version::http2});
    std::vector<plait::task<http::response>> posts;
    for (int i = 0; i < 60; ++i)
      posts.push_back(
          session.post(url + "/" + std::to_string(i), http::request_options().with_content("x")));
    const auto all = co_await plait::gather(std::move(posts));
    EXPECT_EQ(all.size(), 60u);
  });
  EXPECT_LE(log.connections, 2);
}

void be_a_site(peer& server, const peer::request& asked) {
  const auto& path = asked.fields.at(":path");
  const auto field = [&](const char* name) {
    const auto found = asked.fields.find(name);
    return found == asked.fields.end() ? "" : found->second;
  };
  if (path == "/login") {
    server.respond(asked.id, "302", {{"location", "/home"}, {"set-cookie", "who=me"}});
  } else if (path == "/home") {
    server.respond(asked.id, "200", {}, field("cookie"));
  } else if (path == "/echo") {
    server.respond(asked.id, "200",
                   {{"x-length", field("content-length")},
                    {"x-authority", field(":authority")},
                    {"x-connection", field("connection") + field("transfer-encoding")},
                    {"x-own", field("x-own")}},
                   asked.body);
  } else if (path == "/busy") {
    server.respond(asked.id, "503", {{"retry-after", "0"}});
  } else if (path == "/length") {
    server.respond(asked.id, "200", {{"content-length", "5"}},
                   asked.fields.at(":method") == "HEAD" ? "" : "hello");
  } else if (path == "/empty") {
    server.respond(asked.id, "204");
  } else if (path == "/interim") {
    server.interim(asked.id, "100");
    server.interim(asked.id, "103");
    server.respond(asked.id, "200", {}, "after all", {{"x-trailer", "ignored"}});
  } else {
    server.respond(asked.id, "404", {}, "nothing here");
  }
}

class three_pieces final : public http::body_source {
 public:
  plait::task<bool> rewind() override {
    left_ = 3;
    co_return true;
  }
  std::optional<std::uint64_t> size() const override { return std::nullopt; }
  plait::task<std::string_view> next() override {
    if (left_ == 0) co_return std::string_view();
    --left_;
    co_return "piece ";
  }

 private:
  int left_ = 0;
};

TEST(Http2, EverythingThatASessionDoesIsTheSame) {
  http2_log log;
  run_with_http2({be_a_site}, log, [&](std::string url) -> plait::task<> {
    int hooks = 0;
    http::client_options options = prior;
    options.on_request = [&](const std::string&, const http::url&, http::headers& fields) {
      fields.set("X-Own", std::to_string(++hooks));
    };
    http::client_session session(options);
    const auto home =
        co_await session.post(url + "/login", http::request_options().with_content("a"));
    EXPECT_EQ(home.content, "who=me");
    EXPECT_EQ(home.history.size(), 1u);
    const auto echo =
        co_await session.put(url + "/echo", http::request_options().with_content("body"));
    EXPECT_EQ(echo.content, "body");
    EXPECT_EQ(echo.headers.get("X-Length"), "4");
    EXPECT_EQ("http://"s.append(echo.headers.get("X-Authority")), url);
    EXPECT_EQ(echo.headers.get("X-Own"), "3");
    const auto streamed = co_await session.post(
        url + "/echo", http::request_options().with_body(std::make_shared<three_pieces>()));
    EXPECT_EQ(streamed.content, "piece piece piece ");
    EXPECT_EQ(streamed.headers.get("X-Connection"), "");
    const auto busy = co_await session.get(
        url + "/busy", http::request_options().with_retries({.times = 2, .backoff = 1ms}));
    EXPECT_EQ(busy.status_code, 503);
    const auto head = co_await session.head(url + "/length");
    EXPECT_EQ(head.content, "");
    EXPECT_EQ(head.headers.get("Content-Length"), "5");
    const auto length = co_await session.get(url + "/length");
    EXPECT_EQ(length.content, "hello");
    const auto empty = co_await session.delete_(url + "/empty");
    EXPECT_EQ(empty.status_code, 204);
    const auto interim = co_await session.get(url + "/interim");
    EXPECT_EQ(interim.content, "after all");
    EXPECT_FALSE(interim.headers.contains("X-Trailer"));
    const auto missing = co_await session.get(url + "/missing");
    EXPECT_EQ(missing.reason, "Not Found");
    EXPECT_THROW(missing.raise_for_status(), http::status_error);
  });
  EXPECT_EQ(log.connections, 1);
  EXPECT_EQ(std::count(log.asked.begin(), log.asked.end(), "GET /busy"), 3);
}

TEST(Http2, TheSessionsEndClosesTheConnection) {
  http2_log log;
  run_with_http2({answer_with_path}, log, [&](std::string url) -> plait::task<> {
    {
      http::client_session session(prior);
      co_await session.get(url);
    }
    while (log.ended == 0) co_await plait::sleep(1ms);
  });
  EXPECT_EQ(log.goaways, 1u);
}

TEST(Http2, WithoutKeepAliveTheConnectionEndsWithItsLastStream) {
  http2_log log;
  run_with_http2({answer_with_path}, log, [&](std::string url) -> plait::task<> {
    http::client_session session({.keep_alive = 0s, .version = http::http_version::http2});
    co_await session.get(url);
    co_await session.get(url);
    EXPECT_EQ(session.idle_connections(), 0u);
  });
  EXPECT_EQ(log.connections, 2);
}

// ---- flow control --------------------------------------------------------------------------------

TEST(Http2, ALargeUploadArrivesWhole) {
  http2_log log;
  run_with_http2({be_a_site}, log, [&](std::string url) -> plait::task<> {
    http::client_session session(prior);
    std::string content(3'000'000, 'x');
    for (std::size_t i = 0; i < content.size(); i += 1000)
      content[i] = static_cast<char>('a' + i % 26);
    const auto back =
        co_await session.post(url + "/echo", http::request_options().with_content(content));
    EXPECT_TRUE(back.content == content);
  });
}

class endless_body final : public http::body_source {
 public:
  plait::task<bool> rewind() override { co_return true; }
  std::optional<std::uint64_t> size() const override { return std::nullopt; }
  plait::task<std::string_view> next() override {
    ++pulled;
    co_return piece_;
  }
  int pulled = 0;

 private:
  const std::string piece_ = std::string(16384, 'x');
};

TEST(Http2, ABodyIsPulledOnlyWhileTheServersWindowIsOpen) {
  http2_log log;
  run_with_http2({answer_with_path, {}, false}, log, [&](std::string url) -> plait::task<> {
    http::client_session session(prior);
    const auto body = std::make_shared<endless_body>();
    const auto said = co_await outcome(session.post(
        url, http::request_options().with_body(body).with_timeout(std::chrono::milliseconds(100))));
    EXPECT_TRUE(has(said, "timeout_error")) << said;
    EXPECT_GE(body->pulled, 3);
    EXPECT_LE(body->pulled, 6);  // a window of 64 KiB, and one that waits
  });
}

TEST(Http2, AResponseThatNobodyReadsStopsOnlyItself) {
  http2_log log;
  const std::size_t size = 12'000'000;
  const auto answer = [&](peer& server, const peer::request& asked) {
    server.respond(asked.id, "200", {},
                   asked.fields.at(":path") == "/large" ? std::string(size, 'x') : "small"s);
  };
  run_with_http2({answer}, log, [&](std::string url) -> plait::task<> {
    http::client_session session(prior);
    auto download = co_await session.stream("GET", url + "/large");
    for (int i = 0; i < 20; ++i) {
      const auto small = co_await session.get(url + "/small");
      EXPECT_EQ(small.content, "small");
    }
    EXPECT_LE(log.bytes_sent, 2'000'000u);
    std::size_t got = 0;
    for (;;) {
      const std::string piece = co_await download.read_some();
      if (piece.empty()) break;
      got += piece.size();
    }
    EXPECT_EQ(got, size);
  });
  EXPECT_EQ(log.connections, 1);
}

// ---- ends of streams -----------------------------------------------------------------------------

TEST(Http2, AStopResetsTheStreamAndTheConnectionLivesOn) {
  http2_log log;
  const auto answer = [](peer& server, const peer::request& asked) {
    if (asked.fields.at(":path") != "/never") answer_with_path(server, asked);
  };
  run_with_http2({answer}, log, [&](std::string url) -> plait::task<> {
    http::client_session session(prior);
    auto never = plait::spawn(session.get(url + "/never"));
    co_await session.get(url + "/1");
    co_await ended_early(never);
    const auto late =
        co_await outcome(session.get(url + "/never", http::request_options().with_timeout(10ms)));
    EXPECT_TRUE(has(late, "timeout_error")) << late;
    { auto stream = co_await session.stream("GET", url + "/stream"); }  // with its body unread
    for (int i = 0; i < 3; ++i) {
      const auto next = co_await session.get(url + "/2");
      EXPECT_EQ(next.headers.get("X-Number"), "0");
    }
  });
  ASSERT_GE(log.resets.size(), 2u);
  for (const auto code : log.resets) EXPECT_EQ(code, NGHTTP2_CANCEL);
  EXPECT_EQ(log.connections, 1);
}

TEST(Http2, AServerThatGoesAwayCostsNoRequestThatItHasNotBegun) {
  http2_log log;
  std::vector<std::int32_t> seen;
  const auto answer = [&](peer& server, const peer::request& asked) {
    if (server.number != 0) return answer_with_path(server, asked);
    seen.push_back(asked.id);
    if (seen.size() != 10) return;
    server.go_away(seen[4]);
    for (int i = 0; i < 5; ++i)
      server.respond(seen[static_cast<std::size_t>(i)], "200", {}, "first");
  };
  run_with_http2({answer}, log, [&](std::string url) -> plait::task<> {
    http::client_session session(prior);
    std::vector<plait::task<http::response>> posts;
    for (int i = 0; i < 10; ++i)
      posts.push_back(session.post(url + "/", http::request_options().with_content("once")));
    const auto all = co_await plait::gather(std::move(posts));
    const auto first =
        std::count_if(all.begin(), all.end(), [](const auto& r) { return r.content == "first"; });
    EXPECT_EQ(first, 5);
  });
  EXPECT_EQ(log.connections, 2);
}

TEST(Http2, ARefusedRequestGoesOutAgainWhateverItsMethod) {
  http2_log log;
  int refusals = 3;
  const auto answer = [&](peer& server, const peer::request& asked) {
    if (refusals-- > 0) return server.reset(asked.id, NGHTTP2_REFUSED_STREAM);
    answer_with_path(server, asked);
  };
  run_with_http2({answer}, log, [&](std::string url) -> plait::task<> {
    http::client_session session(prior);
    const auto got =
        co_await outcome(session.post(url + "/a", http::request_options().with_content("x")));
    EXPECT_EQ(got, "200 /a");
    refusals = 1000;
    const auto never = co_await outcome(session.get(url + "/b"));
    EXPECT_TRUE(has(never, "connection_lost") && has(never, "refused")) << never;
    EXPECT_LT(log.asked.size(), 20u);
  });
}

TEST(Http2, AResetSaysWhy) {
  http2_log log;
  const auto answer = [](peer& server, const peer::request& asked) {
    server.reset(asked.id, NGHTTP2_ENHANCE_YOUR_CALM);
  };
  run_with_http2({answer}, log, [&](std::string url) -> plait::task<> {
    http::client_session session(prior);
    const auto said = co_await outcome(session.get(url));
    EXPECT_TRUE(has(said, "connection_lost") && has(said, "ENHANCE_YOUR_CALM")) << said;
  });
  EXPECT_EQ(log.asked.size(), 1u);
}

// Reads a request, says something, and ends the connection.
plait::task<> shut_when_asked(net::tcp_stream& stream, std::string say) {
  std::array<char, 4096> buffer{};
  std::string heard;
  while (heard.size() < 100) {  // the preface, the settings, a request or some
    const std::size_t got = co_await stream.read_some(buffer);
    if (got == 0) co_return;
    heard.append(buffer.data(), got);
  }
  co_await stream.write_all(say);
}

std::string frame(char type, char flags, std::uint32_t stream, const std::string& payload) {
  std::string text;
  for (const int shift : {16, 8, 0}) text += static_cast<char>(payload.size() >> shift);
  text += type;
  text += flags;
  for (const int shift : {24, 16, 8, 0}) text += static_cast<char>(stream >> shift);
  return text + payload;
}
const std::string settings_frame = frame(4, 0, 0, "");

TEST(Http2, EveryStreamHearsThatTheConnectionEnded) {
  int connections = 0;
  const conduct how = [&](net::tcp_stream& stream, int) {
    ++connections;
    return shut_when_asked(stream, settings_frame);
  };
  plait::run(with_rude_server(how, [&](std::string url) -> plait::task<> {
    http::client_session session(prior);
    std::vector<plait::task<std::string>> asked;
    for (int i = 0; i < 50; ++i) asked.push_back(outcome(session.get(url)));
    const auto all = co_await plait::gather(std::move(asked));
    for (const auto& one : all) EXPECT_TRUE(has(one, "connection_lost")) << one;
  }));
  EXPECT_LE(connections, 4);
}

// ---- rude servers --------------------------------------------------------------------------------

std::string told(const std::string& bytes, http::client_options options = prior) {
  std::string said;
  plait::run(
      with_rude_server([&](net::tcp_stream& stream, int) { return shut_when_asked(stream, bytes); },
                       [&](std::string url) -> plait::task<> {
                         http::client_session session(options);
                         said = co_await outcome(session.get(url));
                       }));
  return said;
}

TEST(Http2, ServersThatBreakTheRulesAreToldApart) {
  const std::string old = told("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
  EXPECT_TRUE(has(old, "protocol_error") && has(old, "does it speak it?")) << old;
  const std::string ok = "\x88";  // :status 200
  const std::pair<const char*, std::string> faults[] = {
      {"no settings", frame(6, 0, 0, "12345678")},
      {"too large a frame", settings_frame + std::string("\x10\0\0\0\0\0\0\0\1", 9)},
      {"data of no stream", settings_frame + frame(0, 0, 77, "x")},
      {"a header that cannot be read", settings_frame + frame(1, 4, 1, "\xff\xff\xff\xff\xff\xff")},
      {"a header without a status", settings_frame + frame(1, 5, 1, "\x84")},
      {"a push", settings_frame + frame(5, 4, 1, "\0\0\0\2\x88"s)},
      {"settings of a stream", settings_frame + frame(4, 0, 1, "")},
      {"a window that overflows",
       settings_frame + frame(8, 0, 0, "\x7f\xff\xff\xff"s) + frame(8, 0, 0, "\x7f\xff\xff\xff"s)},
      {"data before a header", settings_frame + frame(0, 1, 1, "x")},
      {"more than its content-length", settings_frame +
                                           frame(1, 4, 1,
                                                 ok + "\x5c\x01"
                                                      "1") +
                                           frame(0, 1, 1, "toolong")},
      {"less than its content-length", settings_frame +
                                           frame(1, 4, 1,
                                                 ok + "\x5c\x01"
                                                      "9") +
                                           frame(0, 1, 1, "short")},
      {"something between a header's pieces",
       settings_frame + frame(1, 0, 1, ok) + frame(6, 0, 0, "12345678")},
  };
  for (const auto& [what, bytes] : faults) {
    const std::string said = told(bytes);
    EXPECT_TRUE(has(said, "protocol_error") || has(said, "connection_lost"))
        << what << ": " << said;
    EXPECT_FALSE(has(said, "timeout")) << what;
  }
}

std::string literal(const std::string& name, const std::string& value) {
  const auto text = [](const std::string& s) {
    std::string coded;
    if (s.size() < 127) return coded + static_cast<char>(s.size()) + s;
    coded += 127;
    std::size_t rest = s.size() - 127;
    for (; rest >= 128; rest >>= 7) coded += static_cast<char>((rest & 127) | 128);
    return coded + static_cast<char>(rest) + s;
  };
  return std::string(1, '\0') + text(name) + text(value);
}

TEST(Http2, FloodsEndInErrorsNotInMemory) {
  const std::string ok = "\x88";
  std::string large = settings_frame + frame(1, 0, 1, ok);
  for (int i = 0; i < 20; ++i) large += frame(9, 0, 1, literal("x", std::string(15000, 'y')));
  const std::string header = told(large);
  EXPECT_TRUE(has(header, "protocol_error") && has(header, "max_header_bytes")) << header;

  std::string continued = settings_frame + frame(1, 0, 1, ok);
  for (int i = 0; i < 20000; ++i) continued += frame(9, 0, 1, "");
  const std::string continuation = told(continued);
  EXPECT_TRUE(has(continuation, "protocol_error")) << continuation;

  std::string interim = settings_frame;
  for (int i = 0; i < 3000; ++i)
    interim += frame(1, 4, 1, literal(":status", "103") + literal("link", std::string(100, 'l')));
  const std::string hints = told(interim);
  EXPECT_TRUE(has(hints, "protocol_error")) << hints;

  std::string pings = settings_frame;
  for (int i = 0; i < 20000; ++i) pings += frame(6, 0, 0, "12345678");
  const std::string flooded = told(pings);
  EXPECT_TRUE(has(flooded, "protocol_error") || has(flooded, "connection_lost")) << flooded;

  // More than the window: 2 MiB at once, of which nobody reads a byte.
  std::string data = settings_frame + frame(1, 4, 1, ok);
  for (int i = 0; i < 160; ++i) data += frame(0, 0, 1, std::string(16000, 'd'));
  const std::string overflow = told(data);
  EXPECT_FALSE(has(overflow, "200")) << overflow.substr(0, 100);
}

TEST(Http2, ABodyAboveTheLimitIsAnError) {
  http2_log log;
  const auto answer = [](peer& server, const peer::request& asked) {
    server.respond(asked.id, "200", {}, std::string(5000, 'x'));
  };
  run_with_http2({answer}, log, [&](std::string url) -> plait::task<> {
    http::client_session session({.max_body_bytes = 1000, .version = http::http_version::http2});
    const auto said = co_await outcome(session.get(url));
    EXPECT_TRUE(has(said, "max_body_bytes")) << said;
  });
}

TEST(Http2, BytesWithoutMeaningBreakNothing) {
  const auto seed = plait::testing::run_seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 200; ++round) {
    std::string bytes = random() % 4 == 0 ? "" : settings_frame;
    for (std::size_t frames = random() % 6; frames > 0; --frames) {
      std::string payload(random() % 40, '\0');
      for (char& c : payload) c = static_cast<char>(random());
      bytes += frame(static_cast<char>(random() % 11), static_cast<char>(random() % 64),
                     static_cast<std::uint32_t>(random() % 4), payload);
    }
    const std::size_t tail = random() % 30;
    for (std::size_t i = 0; i < tail; ++i) bytes += static_cast<char>(random());
    const std::string said = told(bytes);
    EXPECT_FALSE(said.empty());
  }
}

TEST(Http2, PingsAreAnswered) {
  http2_log log;
  const auto answer = [](peer& server, const peer::request& asked) {
    server.ping();
    answer_with_path(server, asked);
  };
  run_with_http2({answer}, log, [&](std::string url) -> plait::task<> {
    http::client_session session(prior);
    co_await session.get(url);
    while (log.pings_answered == 0) co_await plait::sleep(1ms);
  });
}

plait::task<> ended_somehow(plait::future<http::response> asked) {
  try {
    co_await asked;
  } catch (const plait::cancelled_error&) {
  }
}
TEST(Http2, StopsAtAnyMomentLeaveNothingBehind) {
  const int before = open_descriptors();
  http2_log log;
  const auto seed = plait::testing::run_seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const auto answer = [](peer& server, const peer::request& asked) {
    server.respond(asked.id, "200", {}, std::string(100'000, 'x'));
  };
  run_with_http2({answer}, log, [&](std::string url) -> plait::task<> {
    http::client_session session(prior);
    for (int round = 0; round < 30; ++round) {
      std::vector<plait::future<http::response>> some;
      for (int i = 0; i < 10; ++i)
        some.push_back(plait::spawn(session.post(
            url, http::request_options().with_content(std::string(random() % 200'000, 'u')))));
      for (auto& one : some) {
        for (std::size_t turns = random() % 4; turns > 0; --turns) co_await plait::sleep(0ms);
        if (random() % 3 != 0) one.cancel();
      }
      for (auto& one : some) co_await ended_somehow(one);
    }
    const auto last = co_await session.get(url);
    EXPECT_EQ(last.content.size(), 100'000u);
  });
  EXPECT_EQ(open_descriptors(), before);
}

// ---- https ---------------------------------------------------------------------------------------

plait::task<> serve_tls(net::tcp_stream raw, net::tls_server_context shown, peer::conduct how,
                        http2_log& log, int n) {
  auto stream = co_await net::tls_stream::server(std::move(raw), shown);
  if (stream.alpn() == "h2") {
    co_await serve_http2(std::move(stream), std::move(how), log, n);
    co_return;
  }
  ++log.connections;
  std::array<char, 4096> buffer{};
  for (std::string heard;;) {
    const std::size_t got = co_await stream.read_some(buffer);
    if (got == 0) co_return;
    heard.append(buffer.data(), got);
    if (heard.find("\r\n\r\n") == std::string::npos) continue;
    heard.clear();
    co_await stream.write_all("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold");
  }
}

// Runs body(url, CA) beside an https server that offers these protocols.
template <class Body>
void run_with_https(std::vector<std::string> offered, http2_log& log, Body body) {
  const test_authority authority;
  const identity who = authority.issue();
  const net::tls_server_context shown(
      {.certificate = who.certificate, .key = who.key, .alpn = std::move(offered)});
  const std::string ca = authority.pem();
  plait::run(with_rude_server(
      [&](net::tcp_stream& stream, int n) {
        return serve_tls(std::move(stream), shown, {be_a_site}, log, n);
      },
      [&](std::string url) { return body("https://localhost" + url.substr(url.rfind(':')), ca); }));
}

TEST(Http2, HttpsServersAreOfferedItAndManyRequestsShareAConnectionFromTheFirst) {
  http2_log log;
  run_with_https({"h2", "http/1.1"}, log, [&](std::string url, std::string ca) -> plait::task<> {
    http::client_session session({.tls = {.ca = ca}});
    std::vector<plait::task<http::response>> posts;
    for (int i = 0; i < 80; ++i)
      posts.push_back(session.post(url + "/echo",
                                   http::request_options().with_content(std::string(20'000, 'x'))));
    const auto all = co_await plait::gather(std::move(posts));
    for (const auto& one : all) {
      EXPECT_EQ(one.version, http::http_version::http2);
      EXPECT_EQ(one.content.size(), 20'000u);
    }
    const auto again = co_await session.get(url + "/length");
    EXPECT_EQ(again.content, "hello");
  });
  EXPECT_EQ(log.connections, 1);
}

TEST(Http2, ServersThatChooseHttp1AreSpokenToInIt) {
  http2_log log;
  run_with_https({"http/1.1"}, log, [&](std::string url, std::string ca) -> plait::task<> {
    http::client_session session({.limit_per_host = 4, .tls = {.ca = ca}});
    std::vector<plait::task<http::response>> gets;
    for (int i = 0; i < 20; ++i) gets.push_back(session.get(url));
    const auto all = co_await plait::gather(std::move(gets));
    for (const auto& one : all) {
      EXPECT_EQ(one.version, http::http_version::http1);
      EXPECT_EQ(one.content, "old");
    }
  });
  EXPECT_LE(log.connections, 4);
}

TEST(Http2, AVersionThatIsAskedForIsSpokenOrNone) {
  http2_log log;
  run_with_https({"h2", "http/1.1"}, log, [&](std::string url, std::string ca) -> plait::task<> {
    http::client_session session({.version = http::http_version::http1, .tls = {.ca = ca}});
    const auto one = co_await session.get(url);
    EXPECT_EQ(one.content, "old");
  });
  run_with_https({}, log, [&](std::string url, std::string ca) -> plait::task<> {
    http::client_session session({.version = http::http_version::http2, .tls = {.ca = ca}});
    const auto said = co_await outcome(session.get(url));
    EXPECT_TRUE(has(said, "does not speak HTTP/2")) << said;
  });
}

TEST(Http2, AllThatWaitForAConnectionHearThatNobodyTakesIt) {
  http::client_session session;
  const auto everybody = [&]() -> plait::task<> {
    std::vector<plait::task<std::string>> asked;
    for (int i = 0; i < 20; ++i) asked.push_back(outcome(session.get("https://127.0.0.1:1/")));
    const auto all = co_await plait::gather(std::move(asked));
    for (const auto& one : all) EXPECT_TRUE(has(one, "127.0.0.1:1")) << one;
  };
  plait::run(everybody());
}

}  // namespace

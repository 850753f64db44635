// What a session does around requests: queries, forms, cookies, retries, redirects, hooks, limits of time.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "plait/coroutines.hpp"
#include "plait/http.hpp"
#include "plait/http/json.hpp"
#include "plait/testing/mock_transport.hpp"
#include "plait/testing/virtual_clock.hpp"

namespace {

using namespace std::chrono_literals;
namespace http = plait::http;
using plait::testing::mock_transport;

// Runs `body(session, web)` on virtual time.
template <class Body>
void on_the_web(mock_transport& web, http::client_options options, Body body) {
  plait::testing::virtual_clock clock;
  plait::event_loop loop({.clock = &clock});
  options.transport = &web;
  http::client_session session(std::move(options));
  loop.run_until_complete(body(session));
}

template <class Error>
plait::task<std::string> what_fails(plait::task<http::response> asked) {
  try {
    const auto unexpected = co_await std::move(asked);
    co_return "status " + std::to_string(unexpected.status_code);
  } catch (const Error& error) {
    co_return error.what();
  }
}

TEST(Session, ParamsAreEncodedBehindTheQuery) {
  mock_transport web([](http::request asked) -> plait::task<http::response> {
    co_return http::response{.content = asked.target};
  });
  on_the_web(web, {}, [](http::client_session& session) -> plait::task<> {
    const auto plain =
        co_await session.get("http://a.test/find",
                             http::request_options().with_param("q", "a b&c").with_param("n", "ü"));
    EXPECT_EQ(plain.content, "/find?q=a+b%26c&n=%C3%BC");
    const auto more = co_await session.get("http://a.test/?x=1#top",
                                           http::request_options().with_param("y", "2"));
    EXPECT_EQ(more.content, "/?x=1&y=2");
  });
}

TEST(Session, EveryMethodHasItsWord) {
  mock_transport web([](http::request asked) -> plait::task<http::response> {
    co_return http::response{.headers = {{"Method", asked.method}}};
  });
  on_the_web(web, {}, [](http::client_session& session) -> plait::task<> {
    std::vector<plait::task<http::response>> all;
    all.push_back(session.get("http://a.test/"));
    all.push_back(session.head("http://a.test/"));
    all.push_back(session.post("http://a.test/"));
    all.push_back(session.put("http://a.test/"));
    all.push_back(session.patch("http://a.test/"));
    all.push_back(session.delete_("http://a.test/"));
    all.push_back(session.options("http://a.test/"));
    std::string words;
    for (const auto& answer : co_await plait::gather(std::move(all)))
      words.append(answer.headers.get("Method")).append(" ");
    EXPECT_EQ(words, "GET HEAD POST PUT PATCH DELETE OPTIONS ");
  });
}

TEST(Session, FormsAndJsonSayWhatTheyAre) {
  mock_transport web([](http::request asked) -> plait::task<http::response> {
    co_return http::response{.headers = {{"Seen", asked.headers.get("Content-Type")}},
                             .content = asked.content};
  });
  on_the_web(web, {}, [](http::client_session& session) -> plait::task<> {
    const auto form = co_await session.post(
        "http://a.test/",
        http::request_options().with_field("name", "A & B").with_field("empty", ""));
    EXPECT_EQ(form.content, "name=A+%26+B&empty=");
    EXPECT_EQ(form.headers.get("Seen"), "application/x-www-form-urlencoded");
    const nlohmann::json value = {{"a", {1, 2}}};
    const auto json = co_await session.post("http://a.test/", http::json_options(value));
    EXPECT_EQ(json.headers.get("Seen"), "application/json");
    EXPECT_EQ(http::json_of(json).at("a").at(1), 2);
    EXPECT_THROW(http::json_of(form), http::protocol_error);
  });
}

TEST(Session, CredentialsTravelAsTheyShould) {
  mock_transport web([](http::request asked) -> plait::task<http::response> {
    co_return http::response{.content = std::string(asked.headers.get("Authorization"))};
  });
  on_the_web(web, {}, [](http::client_session& session) -> plait::task<> {
    const auto basic = co_await session.get(
        "http://a.test/", http::request_options().with_basic_auth("Aladdin", "open sesame"));
    EXPECT_EQ(basic.content, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");  // RFC 7617, 2
    const auto bearer =
        co_await session.get("http://a.test/", http::request_options().with_bearer("t0k"));
    EXPECT_EQ(bearer.content, "Bearer t0k");
  });
  EXPECT_THROW(http::basic_auth("a:b", "c"), http::invalid_header);
  EXPECT_EQ(http::basic_auth("", ""), "Basic Og==");
}

TEST(Session, ARedirectToAnotherServerTakesNoCredentialsAlong) {
  mock_transport web;
  const auto away =
      http::response{.status_code = 302, .headers = {{"Location", "http://b.test/x"}}};
  web.on("GET", "http://a.test/", away);
  web.on("GET", "http://b.test/x",
         http::response{.status_code = 302, .headers = {{"Location", "http://a.test/back"}}});
  web.on("GET", "http://a.test/back", http::response{.content = "home"});
  on_the_web(web, {.headers = {{"Authorization", "session's"}}},
             [&](http::client_session& session) -> plait::task<> {
               session.cookies().set(http::cookie{.name = "c", .value = "1", .domain = "a.test"});
               const auto answer = co_await session.get(
                   "http://a.test/", http::request_options().with_cookie("own", "2"));
               EXPECT_EQ(answer.content, "home");
               EXPECT_EQ(answer.history.size(), 2u);
               EXPECT_EQ(answer.history.at(0).url, "http://a.test/");
               EXPECT_EQ(answer.history.at(1).status_code, 302);
             });
  const auto& seen = web.requests();
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_EQ(seen[0].headers.get("Authorization"), "session's");
  EXPECT_EQ(seen[0].headers.get("Cookie"), "c=1; own=2");
  EXPECT_FALSE(seen[1].headers.contains("Authorization"));
  EXPECT_FALSE(seen[1].headers.contains("Cookie"));
  EXPECT_FALSE(seen[2].headers.contains("Authorization")) << "nor when it comes back";
  EXPECT_EQ(seen[2].headers.get("Cookie"), "c=1") << "the jar knows whose its cookies are";
}

TEST(Session, APostThatIsSentElsewhereBecomesAGetOrStaysOne) {
  for (const auto& [code, method, content] : {std::tuple{301, "GET", ""},
                                              {302, "GET", ""},
                                              {303, "GET", ""},
                                              {307, "POST", "body"},
                                              {308, "POST", "body"}}) {
    mock_transport web([](http::request asked) -> plait::task<http::response> {
      co_return http::response{.content = asked.method + " " + asked.content +
                                          std::string(asked.headers.get("Content-Type"))};
    });
    web.on("POST", "http://a.test/",
           http::response{.status_code = code, .headers = {{"Location", "/next"}}});
    std::string expected = std::string(method) + " " + content;
    if (*content != '\0') expected += "text/plain";
    on_the_web(web, {}, [&](http::client_session& session) -> plait::task<> {
      const auto answer = co_await session.post(
          "http://a.test/", http::request_options().with_content("body", "text/plain"));
      EXPECT_EQ(answer.content, expected) << code;
    });
  }
}

TEST(Session, CookiesComeBackToWhomTheyBelong) {
  mock_transport web([](http::request asked) -> plait::task<http::response> {
    co_return http::response{.headers = {{"Set-Cookie", "id=7; Path=/app"}, {"Set-Cookie", "x=1"}},
                             .content = std::string(asked.headers.get("Cookie"))};
  });
  on_the_web(web, {}, [](http::client_session& session) -> plait::task<> {
    const auto first = co_await session.get("http://a.test/app/login");
    EXPECT_EQ(first.content, "");
    const auto second = co_await session.get("http://a.test/app/page");
    EXPECT_EQ(second.content, "id=7; x=1");
    const auto outside = co_await session.get("http://a.test/other");
    EXPECT_EQ(outside.content, "");
    const auto stranger = co_await session.get("http://b.test/app/page");
    EXPECT_EQ(stranger.content, "");
    EXPECT_EQ(session.cookies().value(http::url("http://a.test/app/"), "id"), "7");
  });
  on_the_web(web, {.cookies = http::cookie_policy::ignore},
             [](http::client_session& session) -> plait::task<> {
               co_await session.get("http://a.test/app/login");
               EXPECT_TRUE(session.cookies().empty());
             });
}

// The session's own and those of the jar went as two fields, which servers read as they like.
TEST(Session, CookiesOfAllKindsTravelInOneField) {
  mock_transport web([](http::request asked) -> plait::task<http::response> {
    http::response answer{.headers = {{"Set-Cookie", "jar=1"}}};
    for (const auto field : asked.headers)
      if (http::same_token(field.name, "Cookie")) answer.content.append(field.value).append("|");
    co_return answer;
  });
  on_the_web(web, {.headers = {{"Cookie", "session=2"}}},
             [](http::client_session& session) -> plait::task<> {
               const auto first = co_await session.get("http://a.test/");
               EXPECT_EQ(first.content, "session=2|");
               const auto second = co_await session.get("http://a.test/");
               EXPECT_EQ(second.content, "jar=1; session=2|");
               const auto own = co_await session.get(
                   "http://a.test/", http::request_options().with_cookie("own", "3"));
               EXPECT_EQ(own.content, "jar=1; own=3|");
               const auto plain = co_await session.get(
                   "http://a.test/", http::request_options().with_header("X", "y"));
               EXPECT_EQ(plain.content, "jar=1; session=2|");
             });
}

TEST(Session, WhatFailsForAMomentIsAskedAgainAfterAPause) {
  mock_transport web;
  web.on("GET", "http://a.test/", http::response{.status_code = 503});
  web.on("GET", "http://a.test/", http::response{.status_code = 502});
  web.on("GET", "http://a.test/", http::response{.content = "there"});
  on_the_web(web, {.retries = {.times = 2, .backoff = 1s}},
             [](http::client_session& session) -> plait::task<> {
               const auto answer = co_await session.get("http://a.test/");
               EXPECT_EQ(answer.content, "there");
               EXPECT_GE(answer.elapsed, 1500ms) << "0.5 to 1 s, and 1 to 2 s";
               EXPECT_LE(answer.elapsed, 3s);
             });
  EXPECT_EQ(web.requests().size(), 3u);
  EXPECT_EQ(web.connections(), 1u) << "answers were read, so the connection serves on";
}

TEST(Session, RetriesEndAndTheLastAnswerIsTheResult) {
  mock_transport web;
  web.on("GET", "http://a.test/", http::response{.status_code = 503, .content = "busy"});
  on_the_web(web, {}, [](http::client_session& session) -> plait::task<> {
    const auto once = co_await session.get("http://a.test/");
    EXPECT_EQ(once.status_code, 503);
    const auto thrice =
        co_await session.get("http://a.test/", http::request_options().with_retries({.times = 2}));
    EXPECT_EQ(thrice.content, "busy");
  });
  EXPECT_EQ(web.requests().size(), 1u + 3u);
}

TEST(Session, RetryAfterIsObeyedUnlessItAsksForTooMuch) {
  mock_transport web;
  web.on("GET", "http://a.test/",
         http::response{.status_code = 429, .headers = {{"Retry-After", "7"}}});
  web.on("GET", "http://a.test/",
         http::response{.status_code = 429, .headers = {{"Retry-After", "3600"}}});
  on_the_web(web, {.retries = {.times = 5}}, [](http::client_session& session) -> plait::task<> {
    const auto answer = co_await session.get("http://a.test/");
    EXPECT_EQ(answer.status_code, 429);
    EXPECT_EQ(answer.elapsed, 7s);
  });
  EXPECT_EQ(web.requests().size(), 2u);
}

TEST(Session, WhatMayNotBeRepeatedIsNot) {
  mock_transport web;
  web.on("POST", "http://a.test/", http::response{.status_code = 503});
  web.refuse("http://nobody.test");
  on_the_web(web, {.retries = {.times = 3}}, [&](http::client_session& session) -> plait::task<> {
    const auto answer = co_await session.post("http://a.test/");
    EXPECT_EQ(answer.status_code, 503);
    EXPECT_EQ(web.requests().size(), 1u);
    const auto again = co_await session.post(
        "http://a.test/", http::request_options().with_retries(
                              {.times = 3, .methods = http::repeatable::every_method}));
    EXPECT_EQ(web.requests().size(), 5u);
    const auto started = plait::event_loop::current().now();
    const auto refused =
        co_await what_fails<http::connect_error>(session.post("http://nobody.test/"));
    EXPECT_NE(refused.find("nobody.test"), std::string::npos) << refused;
    EXPECT_GT(plait::event_loop::current().now() - started, 600ms) << "nobody saw it: tried again";
  });
}

TEST(Session, HooksSeeEveryTry) {
  mock_transport web;
  web.on("GET", "http://a.test/",
         http::response{.status_code = 302, .headers = {{"Location", "/x"}}});
  web.on("GET", "http://a.test/x", http::response{.content = "x"});
  std::string seen;
  http::client_options options;
  options.on_request = [&](const std::string& method, const http::url& to, http::headers& fields) {
    seen += method + " " + to.target() + "; ";
    fields.set("X-Signed", "yes");
  };
  options.on_response = [&](const std::string&, const http::url&, const http::response& r) {
    seen += std::to_string(r.status_code) + "; ";
  };
  on_the_web(web, options, [](http::client_session& session) -> plait::task<> {
    co_await session.get("http://a.test/");
  });
  EXPECT_EQ(seen, "GET /; 302; GET /x; 200; ");
  EXPECT_EQ(web.requests().at(1).headers.get("X-Signed"), "yes");
}

TEST(Session, ATimeoutOfEachKindSaysWhichItWas) {
  mock_transport web([](http::request) -> plait::task<http::response> {
    co_await plait::sleep(60s);
    co_return http::response{};
  });
  on_the_web(web, {.limit = 1, .timeouts = {.read = 5s}},
             [](http::client_session& session) -> plait::task<> {
               const auto silent =
                   co_await what_fails<plait::timeout_error>(session.get("http://a.test/slow"));
               EXPECT_EQ(silent, "a.test was silent for 5 s while http://a.test/slow was read");
             });
  on_the_web(web, {.limit = 1, .timeouts = {.pool = 2s}},
             [](http::client_session& session) -> plait::task<> {
               auto holds = plait::spawn(session.get("http://a.test/slow"));
               co_await plait::sleep(1s);
               const auto waited =
                   co_await what_fails<plait::timeout_error>(session.get("http://a.test/slow"));
               EXPECT_NE(waited.find("became free within 2 s"), std::string::npos) << waited;
               co_await std::move(holds);
             });
}

TEST(Session, AnAnswerThatNobodyPreparedFailsTheRequestByName) {
  mock_transport web;
  on_the_web(web, {}, [](http::client_session& session) -> plait::task<> {
    const auto text = co_await what_fails<http::error>(session.get("http://a.test/?x=1"));
    EXPECT_EQ(text, "mock_transport was not told what to answer to GET http://a.test/?x=1");
  });
}

TEST(BlockingSession, KeepsCookiesConnectionsAndDefaults) {
  mock_transport web([](http::request asked) -> plait::task<http::response> {
    co_return http::response{.headers = {{"Set-Cookie", "seen=1"}},
                             .content = asked.method + std::string(asked.headers.get("Cookie")) +
                                        std::string(asked.headers.get("X-All"))};
  });
  http::session session({.headers = {{"X-All", "!"}}, .transport = &web});
  EXPECT_EQ(session.get("http://a.test/").content, "GET!");
  EXPECT_EQ(session.put("http://a.test/").content, "PUTseen=1!");
  EXPECT_EQ(session.request("PURGE", "http://a.test/").content, "PURGEseen=1!");
  EXPECT_EQ(session.cookies().size(), 1u);
  EXPECT_EQ(session.idle_connections(), 1u);
  EXPECT_EQ(web.connections(), 1u);
  std::string poured;
  const auto all =
      session.stream("GET", "http://a.test/", [&](std::string_view piece) { poured += piece; });
  EXPECT_EQ(poured, "GETseen=1!");
  EXPECT_EQ(all.content, "");
}

plait::task<> use_within_a_loop() {
  mock_transport web;
  http::session session({.transport = &web});
  EXPECT_THROW(session.get("http://a.test/"), plait::would_deadlock);
  co_return;
}
TEST(BlockingSession, ThrowsWhereItWouldBlockALoop) { plait::run(use_within_a_loop()); }

}  // namespace

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "plait/testing/virtual_clock.hpp"
#include "servers.hpp"

namespace {

using namespace std::chrono_literals;
namespace http = plait::http;

// Says what it was asked.
plait::task<http::response> mirror(http::request asked) {
  http::response answer{.content = asked.method + " " + asked.target + " " + asked.content};
  for (const auto [name, value] : asked.headers)
    answer.headers.add("Seen-" + std::string(name), value);
  co_return answer;
}

TEST(Client, GetGivesTheWholeResponse) {
  run_with_server(mirror, [](std::string url) -> plait::task<> {
    http::client_session session;
    auto response = co_await session.get(url + "/page?q=1");
    EXPECT_EQ(response.status_code, 200);
    EXPECT_EQ(response.reason, "OK");
    EXPECT_EQ(response.url, url + "/page?q=1");
    EXPECT_GT(response.elapsed, 0ns);
    EXPECT_EQ(response.headers.get("content-length"), std::to_string(response.content.size()));
    EXPECT_EQ(response.headers.get("seen-host"), url.substr(7));
    EXPECT_EQ(response.headers.get("seen-user-agent"), "plait/0.1");
    const std::string& text = co_await response.text();
    EXPECT_EQ(text, "GET /page?q=1 ");
    EXPECT_EQ(&text, &response.content) << "from an lvalue there is no copy";
    const std::string moved = co_await std::move(response).text();
    EXPECT_EQ(moved, "GET /page?q=1 ");
  });
}

TEST(Client, RequestsCarryMethodHeadersAndContent) {
  run_with_server(mirror, [](std::string url) -> plait::task<> {
    http::client_session session({.user_agent = "me", .headers = {{"X-All", "a"}, {"X-One", "b"}}});
    const auto response = co_await session.request(
        "POST", url + "/form",
        http::request_options().with_header("X-One", "c").with_content("some content"));
    EXPECT_EQ(response.content, "POST /form some content");
    EXPECT_EQ(response.headers.get("Seen-User-Agent"), "me");
    EXPECT_EQ(response.headers.get("Seen-X-All"), "a");
    EXPECT_EQ(response.headers.get("Seen-X-One"), "c");
    const auto head = co_await session.request("HEAD", url + "/");
    EXPECT_EQ(head.content, "");
    EXPECT_EQ(head.headers.get("Content-Length"), "7");
  });
}

TEST(Client, ConnectionsAreKeptAndReused) {
  run_with_server(
      [](http::request asked) -> plait::task<http::response> {
        co_return http::response{.content = asked.peer.to_string()};
      },
      [](std::string url) -> plait::task<> {
        http::client_session session;
        const auto first = co_await session.get(url);
        const auto second = co_await session.get(url);
        EXPECT_EQ(first.content, second.content) << "the same connection";
        EXPECT_EQ(session.idle_connections(), 1u);
        http::client_session fresh({.keep_alive = 0s});
        co_await fresh.get(url);
        EXPECT_EQ(fresh.idle_connections(), 0u);
      });
}

TEST(Client, AnIdleConnectionThatTheServerClosedIsReplaced) {
  run_with_server(
      [](http::request asked) -> plait::task<http::response> {
        co_return http::response{.content = asked.method};
      },
      [](std::string url) -> plait::task<> {
        http::client_session session;
        co_await session.get(url);
        co_await plait::sleep(50ms);  // the server lets go after 10 ms
        const auto again = co_await session.get(url);
        EXPECT_EQ(again.content, "GET");
        co_await plait::sleep(50ms);
        const auto posted = co_await session.request("POST", url);
        EXPECT_EQ(posted.content, "POST");
      },
      {.idle_timeout = 10ms});
}

TEST(Client, AThousandAtOnce) {
  run_with_server(http::httpbin(), [](std::string url) -> plait::task<> {
    http::client_session session;
    std::vector<plait::task<http::response>> gets;
    for (int i = 0; i < 1000; ++i) gets.push_back(session.get(url + "/delay/0.2"));
    int good = 0;
    for (const auto& response : co_await plait::gather(std::move(gets)))
      good += response.status_code == 200;
    EXPECT_EQ(good, 1000);
    EXPECT_EQ(session.idle_connections(), 1000u);
  });
}

// As many as are under way in the handler at once.
struct crowd {
  int now = 0, most = 0;
};
plait::task<http::response> count(crowd& c) {
  c.most = std::max(c.most, ++c.now);
  co_await plait::sleep(1ms);
  --c.now;
  co_return http::response{};
}
void expect_crowd(http::client_options options, int most) {
  crowd c;
  run_with_server([&c](http::request) { return count(c); },
                  [&](std::string url) -> plait::task<> {
                    http::client_session session(options);
                    std::vector<plait::task<http::response>> gets;
                    for (int i = 0; i < 50; ++i) gets.push_back(session.get(url));
                    co_await plait::gather(std::move(gets));
                    EXPECT_LE(session.idle_connections(), static_cast<std::size_t>(most));
                  });
  EXPECT_EQ(c.most, most);
}
TEST(Client, TheTotalLimitIsKept) { expect_crowd({.limit = 7}, 7); }
TEST(Client, TheLimitPerHostIsKept) { expect_crowd({.limit_per_host = 5}, 5); }
TEST(Client, TheTighterLimitWins) { expect_crowd({.limit = 3, .limit_per_host = 5}, 3); }

TEST(Client, RedirectsAreFollowedAndSayWhereTheyEnded) {
  run_with_server(http::httpbin(), [](std::string url) -> plait::task<> {
    http::client_session session;
    const auto response = co_await session.get(url + "/redirect/3");
    EXPECT_EQ(response.status_code, 200);
    EXPECT_EQ(response.url, url + "/get");
    http::client_session tired({.max_redirects = 2});
    bool gave_up = false;
    try {
      co_await tired.get(url + "/redirect/3");
    } catch (const http::too_many_redirects&) {
      gave_up = true;
    }
    EXPECT_TRUE(gave_up);
    http::client_session still({.max_redirects = 0});
    const auto first = co_await still.get(url + "/redirect/3");
    EXPECT_EQ(first.status_code, 302);
    EXPECT_EQ(first.headers.get("Location"), "/redirect/2");
  });
}

plait::task<http::response> redirecting(http::request asked) {
  const auto code = std::atoi(asked.target.c_str() + 1);
  http::response answer{.content = asked.method + " " + asked.content};
  if (code != 0) {
    answer.status_code = code;
    answer.headers.add("Location", "/");
  }
  co_return answer;
}
TEST(Client, ARedirectChangesTheMethodAsTheCodeSays) {
  run_with_server(redirecting, [](std::string url) -> plait::task<> {
    http::client_session session;
    for (const int code : {301, 302, 303}) {
      const auto r = co_await session.request("POST", url + "/" + std::to_string(code),
                                              http::request_options().with_content("body"));
      EXPECT_EQ(r.content, "GET ") << code;
    }
    for (const int code : {307, 308}) {
      const auto r = co_await session.request("POST", url + "/" + std::to_string(code),
                                              http::request_options().with_content("body"));
      EXPECT_EQ(r.content, "POST body") << code;
    }
  });
}

TEST(Client, CredentialsStayWithTheServerTheyWereMeantFor) {
  run_with_server(mirror, [](std::string other) -> plait::task<> {
    http::server::handler away = [other](http::request) -> plait::task<http::response> {
      http::response answer{.status_code = 302};
      answer.headers.add("Location", other);
      co_return answer;
    };
    auto body = [](std::string url) -> plait::task<> {
      http::client_session session;
      const auto r = co_await session.get(url, http::request_options()
                                                   .with_header("Authorization", "secret")
                                                   .with_header("X-Plain", "kept"));
      EXPECT_FALSE(r.headers.contains("Seen-Authorization"));
      EXPECT_EQ(r.headers.get("Seen-X-Plain"), "kept");
    };
    http::server_options plain;
    co_await with_server(plain, away, body);
  });
}

TEST(Client, AServerThatIsNotThereIsAConnectError) {
  auto listener = plait::net::tcp_listener::bind("127.0.0.1", 0);
  const auto url = "http://" + listener.local_endpoint().to_string();
  listener.close();
  http::client_session session;
  try {
    plait::run(session.get(url));
    FAIL();
  } catch (const http::error& error) {
    EXPECT_EQ(dynamic_cast<const http::connect_error&>(error).code(),
              std::errc::connection_refused);
    EXPECT_NE(std::string(error.what()).find("is the server running?"), std::string::npos);
  }
}

TEST(Client, ErrorsBeforeTheNetworkAreHttpErrorsToo) {
  http::client_session session;
  EXPECT_THROW(plait::run(session.get("no url")), http::invalid_url);
  EXPECT_THROW(plait::run(session.get("http://no-such-host.invalid/")), http::dns_error);
  EXPECT_THROW(plait::run(session.request("GET /x", "http://127.0.0.1/")), http::invalid_header);
}

TEST(Client, ATimeoutSaysForWhatAndHowLong) {
  run_with_server(http::httpbin(), [](std::string url) -> plait::task<> {
    http::client_session session;
    try {
      co_await session.get(url + "/delay/10", http::request_options().with_timeout(20ms));
      ADD_FAILURE() << "it takes 10 s";
    } catch (const plait::timeout_error& error) {
      EXPECT_EQ(error.what(), "no complete response from " + url + "/delay/10 within 20 ms");
    }
    EXPECT_EQ(session.idle_connections(), 0u) << "the connection is closed, not kept";
    bool outer = false;
    try {
      co_await plait::timeout(20ms, session.get(url + "/delay/10"));
    } catch (const plait::timeout_error&) {
      outer = true;
    }
    EXPECT_TRUE(outer);
    const auto after = co_await session.get(url + "/get");
    EXPECT_EQ(after.status_code, 200);
  });
}

TEST(Client, ACancelledRequestClosesItsConnection) {
  run_with_server(http::httpbin(), [](std::string url) -> plait::task<> {
    http::client_session session;
    auto getting = plait::spawn(session.get(url + "/delay/10"));
    co_await plait::sleep(20ms);
    EXPECT_FALSE(getting.done());
    getting.cancel();
    bool cancelled = false;
    try {
      co_await getting;
    } catch (const plait::cancelled_error&) {
      cancelled = true;
    }
    EXPECT_TRUE(cancelled);
    EXPECT_EQ(session.idle_connections(), 0u);
  });
}

}  // namespace

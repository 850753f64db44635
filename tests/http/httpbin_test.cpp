#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "plait/testing/virtual_clock.hpp"
#include "servers.hpp"

namespace {

using namespace std::chrono_literals;
namespace http = plait::http;

http::response fetched(std::string path, std::string method = "GET",
                       http::httpbin_options options = {}) {
  http::response result;
  run_with_server(http::httpbin(options), [&](std::string url) -> plait::task<> {
    http::client_session session(
        {.user_agent = "t", .headers = {{"Host", "host"}}, .max_redirects = 0});
    result = co_await session.request(method, url + path);
  });
  return result;
}

// The texts are what python3-httpbin 0.7.0 answers.
TEST(Httpbin, GetDescribesTheRequest) {
  const auto response = fetched("/get?a=1&b=%22&a=3");
  EXPECT_EQ(
      response.content,
      R"({"args":{"a":["1","3"],"b":"\""},"headers":{"Accept":"*/*","Accept-Encoding":"gzip, br, zstd","Host":"host",)"
      R"("User-Agent":"t"},"origin":"127.0.0.1","url":"http://host/get?a=1&b=%22&a=3"})"
      "\n");
  EXPECT_EQ(response.headers.get("Content-Type"), "application/json");
  EXPECT_EQ(response.headers.get("Access-Control-Allow-Origin"), "*");
}

plait::task<> delayed(std::string url) {
  auto& loop = plait::event_loop::current();
  http::client_session session({.user_agent = "t"});
  auto before = loop.now();
  const auto half = co_await session.get(url + "/delay/0.05");
  EXPECT_GE(loop.now() - before, 50ms);
  EXPECT_TRUE(half.content.starts_with(R"({"args":{},"data":"","files":{},"form":{},"headers":)"));
  before = loop.now();
  const auto capped = co_await session.get(url + "/delay/1000000");
  EXPECT_GE(loop.now() - before, 100ms);
  const auto none = co_await session.get(url + "/delay/-1");
  EXPECT_EQ(none.status_code, 200);
}
TEST(Httpbin, DelayTakesItsTimeUpToTheLongest) {
  run_with_server(http::httpbin({.max_delay = 100ms}), delayed);
}

TEST(Httpbin, BytesAreAsManyAsAskedAndRepeatableBySeed) {
  const auto one = fetched("/bytes/1000?seed=7");
  EXPECT_EQ(one.content.size(), 1000u);
  EXPECT_EQ(one.headers.get("Content-Type"), "application/octet-stream");
  EXPECT_EQ(fetched("/bytes/1000?seed=7").content, one.content);
  EXPECT_NE(fetched("/bytes/1000?seed=8").content, one.content);
  EXPECT_NE(fetched("/bytes/1000").content, fetched("/bytes/1000").content);
  EXPECT_EQ(fetched("/bytes/5", "GET", {.max_bytes = 3}).content.size(), 3u);
  EXPECT_EQ(fetched("/bytes/0").content.size(), 0u);
}

TEST(Httpbin, StatusIsWhatWasAskedFor) {
  for (const int code : {200, 204, 302, 304, 404, 418, 503, 999})
    EXPECT_EQ(fetched("/status/" + std::to_string(code)).status_code, code);
  EXPECT_EQ(fetched("/status/302").headers.get("Location"), "/redirect/1");
  EXPECT_EQ(fetched("/status/401").headers.get("WWW-Authenticate"), "Basic realm=\"Fake Realm\"");
  EXPECT_EQ(fetched("/status/404", "POST").status_code, 404);
  for (const char* bad : {"/status/abc", "/status/", "/status/100", "/status/1000", "/status/-1"})
    EXPECT_EQ(fetched(bad).status_code, 400) << bad;
}

TEST(Httpbin, RedirectsEndAtGet) {
  EXPECT_EQ(fetched("/redirect/2").headers.get("Location"), "/redirect/1");
  EXPECT_EQ(fetched("/redirect/1").headers.get("Location"), "/get");
  EXPECT_EQ(fetched("/redirect/0").status_code, 404);
}

TEST(Httpbin, OtherPagesAndMethodsAreRefused) {
  for (const char* missing : {"/", "/nope", "/get/", "/getx", "/bytes/x", "/bytes/-1", "/bytes/"})
    EXPECT_EQ(fetched(missing).status_code, 404) << missing;
  const auto wrong = fetched("/get", "DELETE");
  EXPECT_EQ(wrong.status_code, 405);
  EXPECT_EQ(wrong.headers.get("Allow"), "GET, HEAD, OPTIONS");
  const auto options = fetched("/bytes/3", "OPTIONS");
  EXPECT_EQ(options.status_code, 200);
  EXPECT_EQ(options.headers.get("Allow"), "GET, HEAD, OPTIONS");
}

}  // namespace

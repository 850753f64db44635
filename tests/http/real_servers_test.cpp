// The client against servers that others wrote: httpbin in gunicorn, and nginx. Run by real_servers.py,
// which starts them and says where they are.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "plait/coroutines.hpp"
#include "plait/http.hpp"
#include "plait/http/json.hpp"

namespace {

using namespace std::chrono_literals;
namespace http = plait::http;
using http::json_of;
using http::request_options;

std::string told(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) throw std::runtime_error(std::string("real_servers.py sets ") + name);
  return value;
}
const std::string httpbin = told("HTTPBIN"), nginx = told("NGINX"), nginx_tls = told("NGINX_TLS");
const std::string nginx_http2 = told("NGINX_HTTP2");

std::string in_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
std::string on_site(const char* name) { return in_file(told("SITE") + "/" + name); }
std::string certificate(const char* name) { return told("CERTIFICATES") + "/" + name; }

// ---- httpbin ---------------------------------------------------------------------------------------

TEST(Httpbin, EveryMethodArrivesWithWhatItCarries) {
  http::session session;
  for (const char* method : {"GET", "POST", "PUT", "PATCH", "DELETE"}) {
    const auto answer =
        session.request(method, httpbin + "/anything/a%20b?x=1",
                        request_options().with_param("y", "ü &").with_header("X-Mine", "1"));
    answer.raise_for_status();
    const auto seen = json_of(answer);
    EXPECT_EQ(seen.at("method"), method);
    EXPECT_EQ(seen.at("args"), nlohmann::json({{"x", "1"}, {"y", "ü &"}}));
    EXPECT_EQ(seen.at("headers").at("X-Mine"), "1");
  }
  const auto head = session.head(httpbin + "/get");
  EXPECT_EQ(head.status_code, 200);
  EXPECT_EQ(head.content, "");
  EXPECT_NE(head.headers.get("Content-Length"), "0");
  EXPECT_NE(session.options(httpbin + "/get").headers.get("Allow").find("GET"), std::string::npos);
  EXPECT_EQ(session.post(httpbin + "/get").status_code, 405);
  EXPECT_EQ(session.idle_connections(), 1u) << "one connection has done for all";
}

TEST(Httpbin, BodiesArriveAsWhatTheyAre) {
  http::session session;
  const auto text = json_of(
      session.put(httpbin + "/put", request_options().with_content("some text", "text/plain")));
  EXPECT_EQ(text.at("data"), "some text");
  const nlohmann::json value = {{"name", "ünï"}, {"list", {1, 2.5, nullptr}}};
  EXPECT_EQ(json_of(session.post(httpbin + "/post", http::json_options(value))).at("json"), value);
  const auto form = json_of(session.post(
      httpbin + "/post", request_options().with_field("a", "1 & 2").with_field("ü", "=")));
  EXPECT_EQ(form.at("form"), nlohmann::json({{"a", "1 & 2"}, {"ü", "="}}));
  const auto upload = json_of(session.post(
      httpbin + "/post",
      request_options().with_multipart(http::multipart()
                                           .add_field("title", "a text")
                                           .add_content("made", "x.txt", "in memory", "text/plain")
                                           .add_file("file", told("SITE") + "/text"))));
  EXPECT_EQ(upload.at("form"), nlohmann::json({{"title", "a text"}}));
  EXPECT_EQ(upload.at("files").at("made"), "in memory");
  EXPECT_EQ(upload.at("files").at("file"), on_site("text"));
}

TEST(Httpbin, RedirectsOfEveryKindAreFollowed) {
  http::session session({.max_redirects = 5});
  for (const char* kind : {"/redirect/3", "/relative-redirect/3", "/absolute-redirect/3"}) {
    const auto answer = session.get(httpbin + kind);
    EXPECT_EQ(answer.url, httpbin + "/get") << kind;
    EXPECT_EQ(answer.history.size(), 3u) << kind;
    EXPECT_EQ(answer.history.at(0).url, httpbin + kind);
  }
  EXPECT_THROW(session.get(httpbin + "/absolute-redirect/6"), http::too_many_redirects);
  const auto there = request_options().with_param("url", httpbin + "/anything");
  for (const auto& [code, method, data] : {std::tuple{"301", "GET", ""},
                                           {"302", "GET", ""},
                                           {"303", "GET", ""},
                                           {"307", "POST", "body"},
                                           {"308", "POST", "body"}}) {
    const auto answer = session.post(
        httpbin + "/redirect-to",
        request_options(there).with_param("status_code", code).with_content("body", "text/plain"));
    const auto seen = json_of(answer);
    EXPECT_EQ(seen.at("method"), method) << code;
    EXPECT_EQ(seen.at("data"), data) << code;
    EXPECT_EQ(std::to_string(answer.history.at(0).status_code), code);
  }
  const auto stays = session.get(httpbin + "/redirect/1", request_options().with_max_redirects(0));
  EXPECT_EQ(stays.status_code, 302);
}

TEST(Httpbin, CookiesAreKeptSentAndForgotten) {
  http::session session;
  const auto set = session.get(httpbin + "/cookies/set?a=1&b=two");
  EXPECT_EQ(json_of(set).at("cookies"), nlohmann::json({{"a", "1"}, {"b", "two"}}));
  const auto more = session.get(httpbin + "/cookies", request_options().with_cookie("own", "3"));
  EXPECT_EQ(json_of(more).at("cookies").at("own"), "3");
  const auto gone = session.get(httpbin + "/cookies/delete?a");
  EXPECT_EQ(json_of(gone).at("cookies"), nlohmann::json({{"b", "two"}}));
  EXPECT_EQ(session.cookies().size(), 1u);
}

TEST(Httpbin, CredentialsOpenWhatTheyShould) {
  http::session session;
  const std::string guarded = httpbin + "/basic-auth/me/open%20sesame";
  const auto refused = session.get(guarded);
  EXPECT_EQ(refused.status_code, 401);
  EXPECT_NE(refused.headers.get("WWW-Authenticate"), "");
  const auto let_in = session.get(guarded, request_options().with_basic_auth("me", "open sesame"));
  EXPECT_EQ(json_of(let_in).at("user"), "me");
  EXPECT_EQ(session.get(httpbin + "/bearer").status_code, 401);
  const auto bearer = session.get(httpbin + "/bearer", request_options().with_bearer("t0k"));
  EXPECT_EQ(json_of(bearer).at("token"), "t0k");
}

TEST(Httpbin, CompressionIsUndone) {
  http::session session;
  EXPECT_EQ(json_of(session.get(httpbin + "/gzip")).at("gzipped"), true);
  EXPECT_EQ(json_of(session.get(httpbin + "/deflate")).at("deflated"), true);
  EXPECT_EQ(json_of(session.get(httpbin + "/brotli")).at("brotli"), true);
}

TEST(Httpbin, BytesComeWholeHoweverTheyCome) {
  http::session session;
  EXPECT_EQ(session.get(httpbin + "/bytes/102400?seed=1").content.size(), 102'400u);
  const auto chunks = session.get(httpbin + "/stream-bytes/50000?chunk_size=777&seed=1");
  EXPECT_EQ(chunks.headers.get("Transfer-Encoding"), "chunked");
  EXPECT_EQ(chunks.content.size(), 50'000u);
  const auto lines = session.get(httpbin + "/stream/20").content;
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 20);
  EXPECT_EQ(session.get(httpbin + "/drip?duration=0.2&numbytes=20").content, std::string(20, '*'));
  const auto part =
      session.get(httpbin + "/range/1000", request_options().with_header("Range", "bytes=26-29"));
  EXPECT_EQ(part.status_code, 206);
  EXPECT_EQ(part.content, "abcd");
  EXPECT_EQ(part.headers.get("Content-Range"), "bytes 26-29/1000");
  const auto beyond =
      session.get(httpbin + "/range/1000", request_options().with_header("Range", "bytes=2000-"));
  EXPECT_EQ(beyond.status_code, 416);
  const auto same =
      session.get(httpbin + "/etag/x", request_options().with_header("If-None-Match", "\"x\""));
  EXPECT_EQ(same.status_code, 304);
  EXPECT_EQ(same.content, "");
  EXPECT_EQ(session.idle_connections(), 1u);
}

TEST(Httpbin, StatusesAreErrorsWhenAskedFor) {
  http::session session;
  for (const int code : {200, 204, 400, 404, 418, 500, 503}) {
    const auto answer = session.get(httpbin + "/status/" + std::to_string(code));
    EXPECT_EQ(answer.status_code, code);
    EXPECT_EQ(answer.ok(), code < 400);
    if (code < 400) {
      answer.raise_for_status();
      continue;
    }
    try {
      answer.raise_for_status();
      ADD_FAILURE() << code;
    } catch (const http::status_error& error) {
      EXPECT_EQ(error.status_code(), code);
      EXPECT_EQ(error.url(), answer.url);
    }
  }
}

plait::task<> wait_too_long() {
  http::client_session session({.timeouts = {.read = 50ms}});
  for (const auto& options : {request_options(), request_options().with_timeout(40ms)}) {
    bool late = false;
    try {
      co_await session.get(httpbin + "/delay/1", options);
    } catch (const plait::timeout_error&) {
      late = true;
    }
    EXPECT_TRUE(late);
    EXPECT_EQ(session.idle_connections(), 0u);
  }
}
TEST(Httpbin, DelaysEndInTime) { plait::run(wait_too_long()); }

plait::task<> drip_slowly() {
  http::client_session session;
  auto drops = co_await session.stream("GET", httpbin + "/drip?duration=0.3&numbytes=6");
  EXPECT_EQ(drops.content_length(), 6u);
  int pieces = 0;
  std::string all;
  for (std::string piece = co_await drops.read_some(); !piece.empty();
       piece = co_await drops.read_some()) {
    all += piece;
    ++pieces;
  }
  EXPECT_EQ(all, "******");
  EXPECT_GT(pieces, 1);
  EXPECT_EQ(session.idle_connections(), 1u);
}
TEST(Httpbin, AStreamGivesWhatHasComeMeanwhile) { plait::run(drip_slowly()); }

plait::task<> many_at_once() {
  http::client_session session;
  std::vector<plait::task<http::response>> gets;
  for (int i = 0; i < 200; ++i)
    gets.push_back(
        session.get(httpbin + "/delay/0.3", request_options().with_param("i", std::to_string(i))));
  int i = 0;
  for (const auto& answer : co_await plait::gather(std::move(gets)))
    EXPECT_EQ(json_of(answer).at("args").at("i"), std::to_string(i++));
}
TEST(Httpbin, TwoHundredWaitAtOnce) { plait::run(many_at_once()); }

// ---- nginx -----------------------------------------------------------------------------------------

TEST(Nginx, FilesComeWholeAndCompressed) {
  http::session session;
  const auto text = session.get(nginx + "/text");
  EXPECT_EQ(text.headers.get("Content-Encoding"), "gzip");
  EXPECT_EQ(text.content, on_site("text"));
  http::session plain({.compression = http::compression::refuse});
  const auto bytes = plain.get(nginx + "/random");
  EXPECT_EQ(bytes.headers.get("Content-Encoding"), "");
  EXPECT_TRUE(bytes.content == on_site("random"));
  const auto part =
      plain.get(nginx + "/random", request_options().with_header("Range", "bytes=1000000-1000099"));
  EXPECT_EQ(part.content, on_site("random").substr(1'000'000, 100));
  const auto unchanged = plain.get(
      nginx + "/random", request_options().with_header("If-None-Match", bytes.headers.get("ETag")));
  EXPECT_EQ(unchanged.status_code, 304);
  EXPECT_EQ(session.get(nginx + "/none").status_code, 404);
}

// It ends connections after two requests, or after a millisecond: no request is lost by that.
plait::task<> meet_ends(std::string base) {
  http::client_session session({.tls = {.ca = certificate("ca.pem")}});
  const std::size_t size = on_site("text").size();
  for (int i = 0; i < 5; ++i) {
    const auto answer = co_await session.get(base + "/few/text");
    EXPECT_EQ(answer.content.size(), size);
  }
  for (int i = 0; i < 5; ++i) {
    const auto answer = co_await session.get(base + "/short/text");
    EXPECT_EQ(answer.content.size(), size);
    co_await plait::sleep(1ms * i);
  }
}
TEST(Nginx, ConnectionsThatItEndsAreReplaced) {
  plait::run(meet_ends(nginx));
  plait::run(meet_ends(nginx_tls));
  plait::run(meet_ends(nginx_http2));
}

TEST(Nginx, AnUploadOfAnySizeReachesWhatIsBehindIt) {
  const std::string text = on_site("text");
  for (const std::string& base : {nginx, nginx_tls, nginx_http2}) {
    http::session session({.tls = {.ca = certificate("ca.pem")}});
    const auto answer = session.post(
        base + "/bin/post", request_options().with_body(http::file_body(told("SITE") + "/text")));
    EXPECT_EQ(json_of(answer).at("data"), text);
    const auto moved = session.post(
        base + "/away/", request_options().with_body(http::file_body(told("SITE") + "/text")));
    EXPECT_EQ(json_of(moved).at("data"), text) << "308 sends it once more";
  }
}

TEST(Nginx, ABodyThatIsTooLargeIsRefusedAndSaysSo) {
  http::session session;
  try {
    const auto answer =
        session.put(nginx + "/text", request_options().with_content(std::string(8 << 20, 'x')));
    EXPECT_EQ(answer.status_code, 413);
  } catch (const http::connection_lost&) {  // the reset overtook the answer: TCP allows it
  }
  EXPECT_EQ(session.get(nginx + "/text").status_code, 200);
}

// It allows 128 streams a connection.
plait::task<> ask_much_at_once() {
  http::client_session session({.limit_per_host = 3, .tls = {.ca = certificate("ca.pem")}});
  std::vector<plait::task<http::response>> gets;
  for (int i = 0; i < 500; ++i) gets.push_back(session.get(nginx_http2 + "/text"));
  const auto all = co_await plait::gather(std::move(gets));
  for (const auto& one : all) {
    EXPECT_EQ(one.version, http::http_version::http2);
    EXPECT_EQ(one.headers.get("Content-Encoding"), "gzip");
    EXPECT_EQ(one.content, all.front().content);
  }
  EXPECT_EQ(all.front().content, on_site("text"));
  const auto random = co_await session.get(nginx_http2 + "/random");
  EXPECT_TRUE(random.content == on_site("random"));
  const auto none = co_await session.get(nginx_http2 + "/none");
  EXPECT_EQ(none.status_code, 404);
}
TEST(Nginx, ManyRequestsAtOnceShareAFewConnectionsOfHttp2) { plait::run(ask_much_at_once()); }

TEST(Nginx, IsTrustedByItsCaAndAsItsName) {
  EXPECT_THROW(http::get(nginx_tls + "/text"), http::tls_error);
  http::session session({.tls = {.ca = certificate("ca.pem")}});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(session.get(nginx_tls + "/text").content, on_site("text"));
  EXPECT_EQ(session.idle_connections(), 1u);
  EXPECT_TRUE(session.get(nginx_tls + "/random").content == on_site("random"));
  const std::string by_address = "https://127.0.0.1" + nginx_tls.substr(nginx_tls.rfind(':'));
  EXPECT_THROW(session.get(by_address + "/text"), http::tls_error);
  EXPECT_THROW(session.get("https" + nginx.substr(4) + "/text"), http::tls_error);
  EXPECT_EQ(session.get("http" + by_address.substr(5) + "/text").status_code, 400)
      << "plain HTTP on its TLS port";
}

TEST(Nginx, IsShownWhoAsks) {
  http::session anonymous({.tls = {.ca = certificate("ca.pem")}});
  EXPECT_EQ(anonymous.get(nginx_tls + "/who").content, "");
  http::session known({.tls = {.ca = certificate("ca.pem"),
                               .certificate = certificate("client.pem"),
                               .key = certificate("client.key")}});
  EXPECT_EQ(known.get(nginx_tls + "/who").content, "CN=a client");
}

}  // namespace
